'use strict';
// Adds filters, sorting and paging to tables that stand complete in the page. Text goes in by textContent and append alone.
(() => {
  const STEP = 200, OPTIONS_MAX = 300;
  const make = (tag, props, ...inner) => {
    const one = Object.assign(document.createElement(tag), props);
    one.append(...inner);
    return one;
  };
  const names = new Map();
  for (const row of document.querySelectorAll('#repositories tbody tr'))
    names.set(row.dataset.r, row.cells[0].textContent);

  const lists = [...document.querySelectorAll('section')].filter((one) => one.querySelector('table.rows')).map((section) => {
    const body = section.querySelector('table.rows > tbody');
    const rows = [...body.rows];
    const texts = new Map();
    const text = (row) => {
      if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
      return texts.get(row);
    };
    const list = { section, rows, limit: STEP };
    const search = make('input', { type: 'search', autocomplete: 'off', spellcheck: false });
    const select = (all, values) => {
      const one = make('select', {}, make('option', { value: '' }, all));
      for (const [value, name] of values) one.append(make('option', { value }, name));
      return one;
    };
    const kinds = [...new Set(rows.map((row) => row.dataset.l).filter(Boolean))].sort();
    const used = new Set(rows.map((row) => row.dataset.r));
    const here = [...names].filter(([number]) => used.has(number));
    const level = kinds.length > 1 && select('all', kinds.map((kind) => [kind, kind]));
    const repository = here.length > 1 && here.length <= OPTIONS_MAX && section.id !== 'repositories' && select('all', here);
    const shown = make('output', {});
    const clear = make('button', { type: 'button', hidden: true }, 'Clear filters');
    const more = make('button', { type: 'button', className: 'more' });
    const all = make('button', { type: 'button', className: 'more' }, 'Show all');
    const label = (name, control) => control ? [make('label', {}, name, control)] : [];
    section.querySelector('table.rows').before(make('div', { className: 'bar' },
      ...label('Filter by text', search), ...label(section.dataset.l || 'Level', level), ...label('Repository', repository), clear, shown));
    section.append(more, all);

    list.state = () => ({ filter: search.value, level: level ? level.value : '', repository: repository ? names.get(repository.value) || '' : '' });
    list.set = (state) => {
      search.value = state.filter || '';
      if (level) level.value = kinds.includes(state.level) ? state.level : '';
      if (repository) repository.value = (here.find(([, name]) => name === state.repository) || [''])[0];
      list.limit = STEP;
      list.show();
    };
    list.show = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kind = level ? level.value : '', number = repository ? repository.value : '';
      let count = 0;
      for (const row of rows) {
        const fits = (!kind || row.dataset.l === kind) && (!number || row.dataset.r === number) && words.every((word) => text(row).includes(word));
        row.hidden = !fits;
        row.classList.toggle('late', fits && count >= list.limit);
        if (fits) count += 1;
      }
      const seen = Math.min(count, list.limit);
      shown.value = `${seen} of ${count === rows.length ? '' : `${count} that fit, of `}${rows.length}`;
      clear.hidden = !(words.length || kind || number);
      more.hidden = all.hidden = seen === count;
      more.textContent = `Show ${Math.min(STEP, count - seen)} more`;
    };
    list.reveal = (row) => {
      if (row.hidden) list.set({});
      const place = rows.filter((one) => !one.hidden).indexOf(row);
      if (place >= list.limit) {
        list.limit = Math.ceil((place + 1) / STEP) * STEP;
        list.show();
      }
    };
    const changed = () => {
      list.limit = STEP;
      list.show();
      // The filter can be linked.
      const given = Object.entries({ in: section.id, ...list.state() }).filter(([, value]) => value);
      history.replaceState(null, '', '#' + (given.length > 1 ? new URLSearchParams(given) : section.id));
    };
    search.addEventListener('input', changed);
    for (const one of [level, repository]) if (one) one.addEventListener('change', changed);
    clear.addEventListener('click', () => { list.set({}); changed(); search.focus(); });
    more.addEventListener('click', () => { list.limit += STEP; list.show(); });
    all.addEventListener('click', () => { list.limit = Infinity; list.show(); });

    const order = new Intl.Collator('en', { numeric: true }).compare;
    const value = (row, column) => {
      const words = row.cells[column].textContent.trim();
      return /^[\d,]+(\s|$)/.test(words) ? parseInt(words.replace(/,/g, ''), 10) : words;
    };
    const heads = [...section.querySelectorAll('table.rows > thead th')];
    heads.forEach((head, column) => {
      const button = make('button', { type: 'button' }, head.textContent);
      head.replaceChildren(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        for (const one of heads) one.removeAttribute('aria-sort');
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        const keyed = rows.map((row) => [value(row, column), row]);
        keyed.sort(([a], [b]) => (typeof a === 'number' && typeof b === 'number' ? a - b : order(a, b)) * (down ? -1 : 1));
        keyed.forEach(([, row], place) => { rows[place] = row; });
        body.append(...rows);
        list.show();
      });
    });
    list.show();
    return list;
  });

  // `#filter=TEXT&level=deny&repository=NAME&in=secrets` sets filters, everywhere or in one section; `#f3` names a row.
  const follow = () => {
    const hash = location.hash.slice(1);
    if (hash.includes('=')) {
      const given = Object.fromEntries(new URLSearchParams(hash));
      const meant = lists.filter((list) => !given.in || list.section.id === given.in);
      for (const list of meant) list.set(given);
      const first = meant.find((list) => list.rows.some((row) => !row.hidden));
      if (first) first.section.scrollIntoView();
      return;
    }
    const target = hash && document.getElementById(hash);
    const list = target && lists.find((one) => one.rows.includes(target));
    if (list) {
      list.reveal(target);
      target.scrollIntoView({ block: 'center' });
    }
  };
  addEventListener('hashchange', follow);
  addEventListener('beforeprint', () => { for (const one of document.querySelectorAll('details')) one.open = true; });
  follow();
})();
