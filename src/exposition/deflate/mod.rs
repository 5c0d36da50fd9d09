//! Compresses lines of the text format (deflate, RFC 1951) faster than a general compressor.
//!
//! Each line repeats earlier ones, except for an address or a number. So matches are searched for
//! at quotes and line starts only, and a match usually extends from a quote to the next line's
//! address. The Huffman code is constant: it suits such lines, and each text is read only once.

mod bits;
mod code;
mod finder;

use std::ops::Range;

use self::bits::BitWriter;
use self::code::Code;
use self::finder::Finder;

/// The length of a digit's code in ASCII, in bits.
pub(super) const DIGIT_BITS: u8 = 4;

/// For shorter texts, the header of a code for ASCII costs more than the code saves.
const LEAST_FOR_HEADER: usize = 300;

/// The largest text of one block, so that positions fit into the entries of the finder.
const MAX_BLOCK: usize = 1 << 30;

/// What a text contains, which decides how it is compressed best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// The lines of several zones in a small family, or other lines.
    Lines,
    /// The lines of one zone in a family with one for each mapping.
    Detail,
}

/// Compresses texts. Reuses its tables.
#[derive(Debug)]
pub(super) struct LineDeflate {
    lines: Code,
    detail: Code,
    fixed: Code,
    finder: Finder,
    /// A buffer.
    masked: Vec<u8>,
}

impl LineDeflate {
    pub(super) fn new() -> Self {
        Self {
            lines: Code::lines(),
            detail: Code::detail(),
            fixed: Code::fixed(),
            finder: Finder::new(),
            masked: Vec::new(),
        }
    }

    /// Appends the compressed form of `text`: blocks that end on a byte boundary, do not refer to
    /// earlier data, and are not marked as the last one.
    pub(super) fn compress(&mut self, text: &[u8], content: Content, out: &mut Vec<u8>) {
        let mut out = BitWriter::new(out);
        for text in text.chunks(MAX_BLOCK) {
            let code = if text.len() >= LEAST_FOR_HEADER && text.is_ascii() {
                match content {
                    Content::Lines => &self.lines,
                    Content::Detail => &self.detail,
                }
            } else {
                &self.fixed
            };
            self.finder.start(text.len());
            code.push_header(&mut out);
            push_tokens(&mut self.finder, code, text, 0, &mut out);
            code.push_end(&mut out);
        }
        out.align();
    }

    /// Like [`Self::compress`] with [`Content::Lines`], but digits in `numbers`, ascending parts of
    /// the text, can be replaced in the compressed form: each takes [`DIGIT_BITS`] bits of its own,
    /// and no match refers to it.
    /// Returns where each number begins, in bits from the start of `out`. `None`, and nothing is
    /// appended, if the text is not ASCII or too long.
    pub(super) fn compress_numbers(
        &mut self,
        text: &[u8],
        numbers: &[Range<usize>],
        out: &mut Vec<u8>,
    ) -> Option<Vec<usize>> {
        /// Occurs in no ASCII text, so nothing matches it.
        const MASK: u8 = 0xff;
        if text.len() > MAX_BLOCK || !text.is_ascii() {
            return None;
        }
        self.masked.clear();
        self.masked.extend_from_slice(text);
        for number in numbers {
            self.masked.get_mut(number.clone())?.fill(MASK);
        }
        let code = &self.lines;
        let mut out = BitWriter::new(out);
        self.finder.start(text.len());
        code.push_header(&mut out);
        let mut pos = 0;
        let mut starts = Vec::with_capacity(numbers.len());
        for number in numbers {
            let before = self.masked.get(..number.start)?;
            push_tokens(&mut self.finder, code, before, pos, &mut out);
            starts.push(out.position());
            for byte in text.get(number.clone())? {
                code.push_literal(&mut out, *byte);
            }
            pos = number.end;
        }
        push_tokens(&mut self.finder, code, &self.masked, pos, &mut out);
        code.push_end(&mut out);
        out.align();
        Some(starts)
    }

    /// The digits and their codes in [`Content::Lines`].
    pub(super) fn digits(&self) -> [(u8, u8); 10] {
        std::array::from_fn(|digit| {
            let digit = b"0123456789".get(digit).copied().unwrap_or_default();
            let code = u8::try_from(self.lines.literal(digit));
            (digit, code.unwrap_or_default())
        })
    }
}

/// Appends the tokens of `text` from `pos` on.
fn push_tokens(
    finder: &mut Finder,
    code: &Code,
    text: &[u8],
    mut pos: usize,
    out: &mut BitWriter<'_>,
) {
    let mut is_line_start = pos == 0;
    while let Some((&first, rest)) = text.get(pos..).and_then(<[u8]>::split_first) {
        if (is_line_start || is_anchor(first))
            && let Some((distance, len)) = finder.find(text, pos)
        {
            code.push_match(out, distance, len);
            pos += len;
            is_line_start = false;
            continue;
        }
        code.push_literal(out, first);
        pos += 1;
        is_line_start = first == b'\n';
        if !is_line_start {
            let literals = rest.iter().take_while(|byte| !is_anchor(**byte));
            for &byte in literals {
                code.push_literal(out, byte);
                pos += 1;
            }
        }
    }
}

/// Whether a match may start at this byte.
fn is_anchor(byte: u8) -> bool {
    byte == b'"' || byte == b'\n'
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::DeflateDecoder;
    use proptest::prelude::*;

    use super::*;

    /// A last, empty block.
    const END: [u8; 2] = [0x03, 0x00];

    fn inflated(compressor: &mut LineDeflate, text: &[u8], content: Content) -> (Vec<u8>, usize) {
        let mut deflated = Vec::new();
        compressor.compress(text, content, &mut deflated);
        let len = deflated.len();
        deflated.extend(END);
        let mut back = Vec::new();
        DeflateDecoder::new(&*deflated)
            .read_to_end(&mut back)
            .unwrap();
        (back, len)
    }

    fn content() -> impl Strategy<Value = Content> {
        prop::sample::select(vec![Content::Lines, Content::Detail])
    }

    /// Lines with a few values for each label, so that matches of all lengths occur.
    fn lines() -> impl Strategy<Value = Vec<u8>> {
        let line = ("[ab]{0,3}", 0..3_u8, 0..400_usize, any::<u32>());
        prop::collection::vec(line, 0..60).prop_map(|lines| {
            let lines = lines.into_iter().map(|(zone, place, repeat, value)| {
                let region = format!("region-{place}").repeat(repeat % 40);
                format!("name{{zone=\"{zone}\",region=\"{region}\",x=\"é\n\"}} {value}\n")
            });
            lines.collect::<String>().into_bytes()
        })
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 1..4),
            content in content(),
        ) {
            let mut compressor = LineDeflate::new();
            for text in texts {
                prop_assert_eq!(inflated(&mut compressor, &text, content).0, text);
            }
        }

        #[test]
        fn lines_come_back(
            texts in prop::collection::vec(lines(), 1..4),
            ascii in any::<bool>(),
            content in content(),
        ) {
            let mut compressor = LineDeflate::new();
            for mut text in texts {
                if ascii {
                    text.retain(u8::is_ascii);
                }
                prop_assert_eq!(inflated(&mut compressor, &text, content).0, text);
            }
        }
    }

    proptest! {
        #[test]
        fn digits_can_be_replaced_wherever_they_look_like_labels(
            lines in prop::collection::vec(("[a\\\\\"0-9\n} ]{0,20}", 0..100_u32, 0..100_u32), 1..40),
        ) {
            let text = |number: &dyn Fn(&(String, u32, u32)) -> u32| {
                let mut text = String::new();
                let mut numbers = Vec::new();
                for line in &lines {
                    text.push_str("name{zone=\"");
                    text.push_str(&line.0);
                    text.push_str("\"} ");
                    let start = text.len();
                    let digits = format!("{:06}", number(line));
                    text.push_str(&digits);
                    numbers.push(start..text.len());
                    text.push('\n');
                }
                (text.into_bytes(), numbers)
            };
            let mut compressor = LineDeflate::new();
            let mut compress = |(text, numbers): (Vec<u8>, Vec<Range<usize>>)| {
                let mut deflated = Vec::new();
                let starts = compressor.compress_numbers(&text, &numbers, &mut deflated).unwrap();
                (text, deflated, starts)
            };
            let (_, mut replaced, starts) = compress(text(&|(_, before, _)| *before));
            let (text, deflated, _) = compress(text(&|(_, _, after)| *after));
            let codes = LineDeflate::new().digits().map(|(_, code)| code);
            for ((_, before, after), start) in lines.iter().zip(starts) {
                let digits = |number: &u32| format!("{number:06}").into_bytes();
                for (place, (before, after)) in digits(before).into_iter().zip(digits(after)).enumerate() {
                    let code = |digit: u8| codes[usize::from(digit - b'0')];
                    let at = start + place * usize::from(DIGIT_BITS);
                    let bits = u16::from(code(before) ^ code(after)) << (at % 8);
                    replaced[at / 8] ^= bits.to_le_bytes()[0];
                    replaced[at / 8 + 1] ^= bits.to_le_bytes()[1];
                }
            }
            prop_assert_eq!(&replaced, &deflated);
            replaced.extend(END);
            let mut back = Vec::new();
            DeflateDecoder::new(&*replaced).read_to_end(&mut back).unwrap();
            prop_assert_eq!(back, text);
        }
    }

    #[test]
    fn every_ascii_character_has_a_code() {
        let text: Vec<u8> = (0..128).cycle().take(1024).collect();
        for content in [Content::Lines, Content::Detail] {
            let (back, _) = inflated(&mut LineDeflate::new(), &text, content);
            assert_eq!(back, text);
        }
    }

    #[test]
    fn no_match_reaches_behind_the_window() {
        let line = |n: usize| format!("name{{zone=\"{n:040}\"}} 1\n");
        // The same line again after more than 32 KiB of others.
        let text: String = [7]
            .into_iter()
            .chain(100..1000)
            .chain([7])
            .map(line)
            .collect();
        let (back, _) = inflated(&mut LineDeflate::new(), text.as_bytes(), Content::Detail);
        assert_eq!(back, text.as_bytes());
    }

    #[test]
    fn a_line_of_a_zone_takes_a_few_bytes() {
        let line = |n: usize| {
            let (a, b) = (n / 250, n % 250);
            let region = ["us-east-1", "eu-west-1", "eu-central-1"][n % 3];
            format!(
                "cloudflare_origin_region_mapping_info{{zone=\"zone-1.example\",zone_id=\
                 \"023e105f4ecef8ad9ca31a8372d0c353\",origin_ip=\"10.20.{a}.{b}\",\
                 vendor=\"aws\",region=\"{region}\"}} 1\n"
            )
        };
        let text: String = (0..1000).map(line).collect();
        let (back, len) = inflated(&mut LineDeflate::new(), text.as_bytes(), Content::Detail);
        assert_eq!(back, text.as_bytes());
        assert!(len < 7 * 1000, "{len} bytes for {}", text.len());
    }
}
