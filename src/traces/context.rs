//! Where a span belongs: the trace, and the span above it, as W3C Trace Context writes them.

use rand::TryRngCore;
use rand::rngs::OsRng;

/// The longest list of other systems' marks that is handed on: what the standard asks for.
const STATE_BYTES_MAX: usize = 512;

/// A place in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// The span above; all zeros where there is none.
    pub(super) parent_id: [u8; 8],
    /// What other systems noted for themselves.
    pub(super) state: String,
}

/// What a caller says of its trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    pub(super) is_sampled: bool,
}

impl Caller {
    /// Returns what a header `traceparent` says; `None` where it says nothing that the standard knows.
    pub(super) fn of_header(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version: [u8; 1] = bytes_of(parts.next()?)?;
        let (trace_id, span_id) = (bytes_of(parts.next()?)?, bytes_of(parts.next()?)?);
        let [flags] = bytes_of(parts.next()?)?;
        // A later version may have more parts, the first one has none, and the last number is no version.
        let is_known = version != [0xff] && (version != [0] || parts.next().is_none());
        let has_ids = trace_id != [0; 16] && span_id != [0; 8];
        (is_known && has_ids).then_some(Self { trace_id, span_id, is_sampled: flags & 1 == 1 })
    }
}

impl Place {
    /// Returns the place of a call; `None` where it is not to be seen: its caller says so, or chance does.
    pub(super) fn of_call(caller: Option<Caller>, state: Option<&str>, ratio: f64) -> Option<Self> {
        let span_id = random()?;
        let Some(caller) = caller else {
            let trace_id: [u8; 16] = random()?;
            return is_in(trace_id, ratio).then(|| Self { trace_id, span_id, parent_id: [0; 8], state: String::new() });
        };
        let state = state.filter(|state| state.len() <= STATE_BYTES_MAX).unwrap_or_default().to_owned();
        let place = Self { trace_id: caller.trace_id, span_id, parent_id: caller.span_id, state };
        caller.is_sampled.then_some(place)
    }

    /// Returns a place below this one.
    pub(super) fn below(&self) -> Option<Self> {
        Some(Self { span_id: random()?, parent_id: self.span_id, ..self.clone() })
    }
}

/// Returns whether a trace is among those that are seen. It goes by the trace alone, so that all of a trace is seen or none.
fn is_in(trace_id: [u8; 16], ratio: f64) -> bool {
    let [.., a, b, c, d] = trace_id;
    f64::from(u32::from_be_bytes([a, b, c, d])) < ratio * (f64::from(u32::MAX) + 1.0)
}

/// Returns random bytes; `None` where the system has none.
fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).ok()?;
    Some(bytes)
}

/// Returns the bytes of hexadecimal digits, which the standard wants small.
fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_caller_names_its_trace_and_whether_it_is_seen() {
        let caller = Caller::of_header(HEADER).expect("the standard's example");
        assert_eq!((caller.trace_id[0], caller.span_id[7], caller.is_sampled), (0x0a, 0x31, true));
        let unseen = HEADER.replace("-01", "-00");
        assert!(!Caller::of_header(&unseen).expect("a header").is_sampled);
        let later = HEADER.replace("00-0a", "01-0a") + "-more";
        assert_eq!(Caller::of_header(&later), Some(caller));
    }

    #[test]
    fn what_is_no_header_is_none() {
        for text in [
            "",
            "00",
            &HEADER.to_uppercase(),
            &HEADER[..HEADER.len() - 1],
            &HEADER.replace("00-0a", "ff-0a"),
            &format!("{HEADER}-more"),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319é-b7ad6b7169203331-01",
        ] {
            assert_eq!(Caller::of_header(text), None, "{text}");
        }
    }

    #[test]
    fn a_call_is_seen_as_its_caller_says_and_else_by_the_ratio() {
        let caller = |is_sampled| Caller { trace_id: [1; 16], span_id: [2; 8], is_sampled };
        let place = Place::of_call(Some(caller(true)), Some("a=b"), 0.0).expect("its caller says so");
        assert_eq!((place.trace_id, place.parent_id, place.state.as_str()), ([1; 16], [2; 8], "a=b"));
        assert_eq!(Place::of_call(Some(caller(false)), None, 1.0), None);
        assert!(Place::of_call(None, None, 1.0).is_some_and(|place| place.parent_id == [0; 8]));
        assert_eq!(Place::of_call(None, None, 0.0), None);
        let below = place.below().expect("random bytes");
        assert_eq!((below.trace_id, below.parent_id), (place.trace_id, place.span_id));
        let mut half = [0; 16];
        half[12] = 0x80;
        assert!(!is_in(half, 0.5) && is_in([0; 16], 0.5) && is_in([0xff; 16], 1.0));
    }
}
