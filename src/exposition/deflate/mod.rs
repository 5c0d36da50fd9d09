//! Compresses lines of the text format (deflate, RFC 1951) faster than a general compressor.
//!
//! Each line repeats earlier ones, except for an address or a number. So matches are searched for
//! at quotes and line starts only, and a match usually extends from a quote to the next line's
//! address. The Huffman code is constant: it suits such lines, and each text is read only once.

mod bits;
mod code;
mod finder;

use self::bits::BitWriter;
use self::code::Code;
use self::finder::Finder;

/// For shorter texts, the header of the ASCII code costs more than the code saves.
const LEAST_FOR_HEADER: usize = 300;

/// The largest text of one block, so that positions fit into the entries of the finder.
const MAX_BLOCK: usize = 1 << 30;

/// Compresses texts. Reuses its tables.
#[derive(Debug)]
pub(super) struct LineDeflate {
    ascii: Code,
    fixed: Code,
    finder: Finder,
}

impl LineDeflate {
    pub(super) fn new() -> Self {
        Self {
            ascii: Code::ascii(),
            fixed: Code::fixed(),
            finder: Finder::new(),
        }
    }

    /// Appends the compressed form of `text`: blocks that end on a byte boundary, do not refer to
    /// earlier data, and are not marked as the last one.
    pub(super) fn compress(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let mut out = BitWriter::new(out);
        for text in text.chunks(MAX_BLOCK) {
            let code = if text.len() >= LEAST_FOR_HEADER && text.is_ascii() {
                &self.ascii
            } else {
                &self.fixed
            };
            self.finder.start(text.len());
            code.push_header(&mut out);
            push_tokens(&mut self.finder, code, text, &mut out);
            code.push_end(&mut out);
        }
        out.align();
    }
}

fn push_tokens(finder: &mut Finder, code: &Code, text: &[u8], out: &mut BitWriter<'_>) {
    let mut pos = 0;
    let mut is_line_start = true;
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

    fn inflated(compressor: &mut LineDeflate, text: &[u8]) -> (Vec<u8>, usize) {
        let mut deflated = Vec::new();
        compressor.compress(text, &mut deflated);
        let len = deflated.len();
        deflated.extend(END);
        let mut back = Vec::new();
        DeflateDecoder::new(&*deflated)
            .read_to_end(&mut back)
            .unwrap();
        (back, len)
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
        ) {
            let mut compressor = LineDeflate::new();
            for text in texts {
                prop_assert_eq!(inflated(&mut compressor, &text).0, text);
            }
        }

        #[test]
        fn lines_come_back(texts in prop::collection::vec(lines(), 1..4), ascii in any::<bool>()) {
            let mut compressor = LineDeflate::new();
            for mut text in texts {
                if ascii {
                    text.retain(u8::is_ascii);
                }
                prop_assert_eq!(inflated(&mut compressor, &text).0, text);
            }
        }
    }

    #[test]
    fn every_ascii_character_has_a_code() {
        let text: Vec<u8> = (0..128).cycle().take(1024).collect();
        assert_eq!(inflated(&mut LineDeflate::new(), &text).0, text);
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
        let (back, _) = inflated(&mut LineDeflate::new(), text.as_bytes());
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
        let (back, len) = inflated(&mut LineDeflate::new(), text.as_bytes());
        assert_eq!(back, text.as_bytes());
        assert!(len < 8 * 1000, "{len} bytes for {}", text.len());
    }
}
