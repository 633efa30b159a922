//! Which characters stand in which writing, as far as the check needs to know.

/// Han, with compatibility forms and the later planes.
pub(super) fn is_han(letter: char) -> bool {
    matches!(u32::from(letter), 0x2e80..=0x2fdf | 0x3005..=0x3007 | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff
        | 0x2_0000..=0x3_ffff)
}

/// Characters that an emoji sequence can be made of.
pub(super) fn is_emoji(letter: char) -> bool {
    matches!(u32::from(letter), 0xa9 | 0xae | 0x203c | 0x2049 | 0x2122 | 0x2139 | 0x2190..=0x21ff | 0x2300..=0x23ff
        | 0x24c2 | 0x25a0..=0x27bf | 0x2900..=0x297f | 0x2b00..=0x2bff | 0x3030 | 0x303d | 0x3297 | 0x3299
        | 0x1_f000..=0x1_faff)
}

/// First character of a keycap.
pub(super) fn is_keycap_base(letter: char) -> bool {
    matches!(letter, '0'..='9' | '#' | '*')
}

/// Symbols and letters with standardised variants that are neither Han nor emoji.
pub(super) fn has_variants(letter: char) -> bool {
    matches!(u32::from(letter), 0x30 | 0x2205 | 0x2200..=0x22ff | 0x2a00..=0x2aff | 0x1000..=0x109f | 0xa840..=0xa87f
        | 0x3001..=0x3002 | 0xff01..=0xff1f | 0x2018..=0x201d | 0x1_3000..=0x1_345f | 0x1_8b00..=0x1_8cff | 0x1_d49c..=0x1_d4b5)
}

/// Letters of right-to-left writing.
pub(super) fn is_right_to_left(letter: char) -> bool {
    matches!(u32::from(letter), 0x0591..=0x061b | 0x061d..=0x08ff | 0xfb1d..=0xfdff | 0xfe70..=0xfefc
        | 0x1_0800..=0x1_0fff | 0x1_e800..=0x1_efff)
}

/// Writing whose spelling needs joiners and non-joiners: Arabic and its kin, Indic, Mongolian, Tibetan, Khmer.
pub(super) fn needs_joiners(letter: char) -> bool {
    matches!(u32::from(letter), 0x0600..=0x07ff | 0x0840..=0x08ff | 0x0900..=0x0dff | 0x0f00..=0x109f | 0x1700..=0x18af
        | 0x1900..=0x1aff | 0x1b00..=0x1cff | 0xa800..=0xa8ff | 0xa900..=0xa9ff | 0xaa00..=0xaaff
        | 0xabc0..=0xabff | 0xfb50..=0xfdff | 0xfe70..=0xfefc | 0x1_1000..=0x1_1fff | 0x1_e900..=0x1_e95f)
}

/// Writing without blanks between words, where a zero-width space says where a line may break.
pub(super) fn breaks_without_blanks(letter: char) -> bool {
    matches!(u32::from(letter), 0x0e00..=0x0fff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x1950..=0x19ff | 0x1a20..=0x1aaf
        | 0x3040..=0x30ff | 0xaa60..=0xaa7f)
        || is_han(letter)
}

/// Hangul letters that a filler completes to a syllable.
pub(super) fn is_jamo(letter: char) -> bool {
    matches!(u32::from(letter), 0x1100..=0x11ff | 0xa960..=0xa97f | 0xd7b0..=0xd7ff)
}

/// What the check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Shows as it is.
    Plain,
    /// The tag block.
    Tag,
    /// A variation selector.
    Variation,
    /// Embeds, overrides or isolates a direction, or ends that.
    Bidi,
    /// A mark of direction.
    Mark,
    /// Shows nothing.
    Invisible,
    /// Control characters beyond ASCII.
    Control,
    /// Ends a line or a paragraph, for some programs.
    Separator,
}

/// Class of a character that is not ASCII.
pub(super) fn class(letter: char) -> Class {
    match u32::from(letter) {
        0x80..=0x84 | 0x86..=0x9f => Class::Control,
        0x85 | 0x2028 | 0x2029 => Class::Separator,
        0x202a..=0x202e | 0x2066..=0x2069 => Class::Bidi,
        0x061c | 0x200e | 0x200f => Class::Mark,
        0xfe00..=0xfe0f | 0xe_0100..=0xe_01ef => Class::Variation,
        0xe_0000..=0xe_007f => Class::Tag,
        0xad
        | 0x034f
        | 0x115f
        | 0x1160
        | 0x17b4
        | 0x17b5
        | 0x180e
        | 0x200b..=0x200d
        | 0x2060..=0x2065
        | 0x206a..=0x206f
        | 0x3164
        | 0xfeff
        | 0xffa0
        | 0xfff9..=0xfffb
        | 0x1_d173..=0x1_d17a => Class::Invisible,
        _ => Class::Plain,
    }
}
