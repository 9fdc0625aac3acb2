//! The stand-ins of host functions mean what the host's mean, and the readers of text
//! and tables are right.

use sandwarp_plugin::{char_len, clean, host, whole, Candidate, Error, Reader};

#[test]
fn operations() {
    let mut x = [1.0, -2.0, 3.0, 0.0];
    let mut best = [Candidate { id: 0, logit: 0.0 }; 2];
    assert_eq!(host::top_k(&x, &mut best), Ok(2));
    assert_eq!((best[0].id, best[1].id), (2, 0));
    host::penalty(&mut x, &[2, 2, 9], 2.0, 0.5, 0.25).unwrap();
    assert_eq!(x[2], 0.5);
    host::scale(&mut x, 2.0, 1.0).unwrap();
    assert_eq!(x[0], 3.0);
    assert!((host::log_sum_exp(&[0.0, 0.0]) - 0.693147).abs() < 1e-6);
    let mut two = [0.0; 2];
    host::gather(&x, &[3, 0], &mut two).unwrap();
    assert_eq!(two, [1.0, 3.0]);
    assert!(host::gather(&x, &[4], &mut two).is_err());
    host::apply_mask(&mut x, &[0b0111]).unwrap();
    assert_eq!(x[3], f32::NEG_INFINITY);
    assert!(host::apply_mask(&mut [0.0; 33], &[1]).is_err());
}

#[test]
fn store_clock_and_chance() {
    assert_eq!(host::kv_get(b"k"), Ok(None));
    host::kv_set(b"k", &[7; 1000]).unwrap();
    assert_eq!(host::kv_get(b"k"), Ok(Some(vec![7; 1000])));
    host::kv_set(b"k", b"").unwrap();
    assert_eq!(host::kv_get(b"k"), Ok(None));
    assert!(host::now() < host::now());
    assert_ne!(host::rand(), host::rand());
    assert!(host::vocab().is_err());
}

#[test]
fn vocabulary() {
    let table = vec![2, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, b'a', b'b', b'c'];
    for n in [0, 10, 17] {
        assert!(host::Vocab::parse(table[..n].to_vec()).is_err());
    }
    assert!(host::Vocab::parse(vec![255; 8]).is_err());
    let v = host::Vocab::parse(table).unwrap();
    assert_eq!((v.len(), v.text(0), v.text(1), v.text(2)), (2, &b"a"[..], &b"bc"[..], &b""[..]));
}

#[test]
fn characters() {
    for c in ['a', 'é', '中', '😀', '\u{7ff}', '\u{ffff}', '\u{10ffff}'] {
        let mut b = [0; 4];
        let n = c.encode_utf8(&mut b).len();
        assert_eq!(char_len(&b[..n]), Ok(n));
        for cut in 1..n {
            assert_eq!(char_len(&b[..cut]), Err(true));
            assert_eq!((whole(&b[..cut], false), whole(&b[..cut], true)), (0, cut));
        }
    }
    for bad in [&[0x80][..], &[0xc0, 0x80], &[0xed, 0xa0, 0x80], &[0xf5], &[0xe0, 0x80, 0x80], &[0xf4, 0x90, 0x80, 0x80]] {
        assert_eq!(char_len(bad), Err(false));
    }
    let mut out = Vec::new();
    clean(&mut out, b"a\xff\xc3\xa9\xc3");
    assert_eq!(out, "a?é?".as_bytes());
}

#[test]
fn errors_and_readers() {
    let e = Error::new("token ").number(i64::MIN).text(": no");
    assert_eq!((e.code(), e.words()), (-22, &b"token -9223372036854775808: no"[..]));
    let mut r = Reader::new(&[0x93, 1, 0xa1]);
    assert!(r.int().is_err());
    assert_eq!(r.array().err(), Some(Error::new("malformed msgpack, or a value of another type")));
    let deep = [[0x91; 33], [0xc0; 33]].concat();
    assert!(Reader::new(&deep).skip().is_err());
    assert_eq!(Reader::new(&deep[1..34]).raw(), Ok(&deep[1..34]));
}
