use proptest::prelude::*;

use crate::request::multipart::*;

const TYPE: &[u8] = b"multipart/form-data; boundary=b0undary";

fn form(body: &str) -> Result<Form<'_>, FormError> {
    Form::parse(TYPE, body.as_bytes())
}

/// A form of these parts: what stands behind `content-disposition: form-data`, and the value.
fn body(parts: &[(&str, &str)]) -> String {
    let part = |(rest, value): &(&str, &str)| {
        format!("--b0undary\r\nContent-Disposition: form-data{rest}\r\n\r\n{value}\r\n")
    };
    format!("{}--b0undary--\r\n", parts.iter().map(part).collect::<String>())
}

fn rewritten(body: &str, model: &str, required: bool) -> Option<String> {
    let form = form(body).unwrap();
    let edits = form.model_edits(model, required)?;
    let rewritten = edits.rewrite(body.as_bytes()).unwrap();
    assert_eq!(rewritten.len(), edits.length(body.len()));
    Some(String::from_utf8(rewritten).unwrap())
}

const FILE: (&str, &str) =
    ("; name=\"file\"; filename=\"a\\\"b; name=model.wav\"\r\nContent-Type: audio/wav", "RI\0FF");

#[test]
fn fields_and_files_are_found_where_they_stand() {
    let text =
        body(&[("; name=\"model\"", "whisper-1"), FILE, ("; name=stream", "true"), (";NAME=\"n\";", "")]);
    let form = form(&text).unwrap();
    assert_eq!(
        (form.text("model"), form.text("stream"), form.text("n")),
        (Some("whisper-1"), Some("true"), Some(""))
    );
    assert_eq!((form.text("file"), form.has("file"), form.has("x")), (None, true, false));
    let file = v1::FormFile { field: "file".to_owned(), media_type: "audio/wav".to_owned(), bytes: 5 };
    assert_eq!(form.files(), [file]);
}

#[test]
fn only_the_models_value_changes_and_its_length_where_that_is_said() {
    let text = body(&[FILE, ("; name=\"model\"", "m")]);
    assert_eq!(rewritten(&text, "other", true).unwrap(), text.replace("\r\n\r\nm\r\n", "\r\n\r\nother\r\n"));
    assert_eq!(rewritten(&text, "m", true).unwrap(), text);
    let said = body(&[("; name=\"model\"\r\ncontent-length:  1 ", "m"), FILE]);
    let expected = said.replace("\r\n\r\nm\r\n", "\r\n\r\nother\r\n").replace(":  1 ", ":  5 ");
    assert_eq!(rewritten(&said, "other", true).unwrap(), expected);
}

#[test]
fn a_form_without_a_model_gets_one_where_the_provider_reads_it_there() {
    let text = body(&[FILE]);
    assert_eq!(rewritten(&text, "m", false).unwrap(), text);
    let with = rewritten(&text, "m", true).unwrap();
    assert!(with.ends_with(&text));
    assert_eq!(form(&with).unwrap().text("model"), Some("m"));
}

#[test]
fn a_model_that_could_be_taken_for_a_boundary_is_put_into_no_form() {
    let text = body(&[("; name=\"model\"", "m")]);
    assert_eq!(rewritten(&text, "--b0undary--", true), None);
    assert_eq!(rewritten(&text, "a--b0undary", true), None);
    assert!(rewritten(&text, "--b0undar", true).is_some());
}

#[test]
fn a_second_model_is_refused_however_it_is_spelt() {
    let model = ("; name=\"model\"", "a");
    for second in [
        "; name=\"model\"",
        "; name=model",
        "; name=\"Model\"",
        "; name=\"MODEL\"; x=y",
        "; name=\"model[]\"",
        "; name=\"model\"; filename=\"f\"",
        "; name=\"model\"; filename*=utf-8''f",
        "; name=\"mode\\l\"",
        "; name=\"%6dodel\"",
        "; name=\" model\"",
        "; name=\"model\0\"",
        "; name=\"mod\u{e9}l\"",
        "; name*=utf-8''model",
        "; name*0=model",
        "; name=\"x\"; name=\"model\"",
        "; name=\"x\"; name*=utf-8''model",
        "; name=\"x\"\r\nContent-Disposition: form-data; name=\"model\"",
        "; name=\"x\"\r\n ; name=\"model\"",
        "; name=\"x\"\nContent-Disposition: form-data; name=\"model\"",
        "; name=\"x",
        "; name=\"\"",
        "",
        "x; name=\"model\"",
    ] {
        for parts in [[model, (second, "b")], [(second, "b"), model]] {
            assert!(form(&body(&parts)).is_err(), "{second:?}");
        }
    }
    assert_eq!(
        form(&body(&[("; name=\"stream\"", "a"), ("; name=\"Stream\"", "a")])),
        Err(FormError::Ambiguous("stream"))
    );
    assert_eq!(form(&body(&[("; name=\"Model\"", "a")])), Err(FormError::Ambiguous("model")));
}

#[test]
fn a_value_that_is_not_what_its_bytes_are_is_refused() {
    let head = |more: &str| body(&[(&format!("; name=\"model\"\r\n{more}"), "bW9kZWw=")]);
    for more in [
        "Content-Transfer-Encoding: base64",
        "content-transfer-encoding: quoted-printable",
        "Content-Length: 3",
    ] {
        assert!(matches!(form(&head(more)), Err(FormError::Encoded(_))), "{more}");
    }
    for more in ["Content-Transfer-Encoding: binary", "content-length: 8", "X-Other: 1"] {
        assert!(form(&head(more)).is_ok(), "{more}");
    }
}

#[test]
fn what_is_not_framed_as_a_form_is_refused() {
    let whole = body(&[("; name=\"model\"", "m"), FILE]);
    let cases = [
        (String::new(), FormError::Start),
        ("{}".to_owned(), FormError::Start),
        (format!("\r\n{whole}"), FormError::Start),
        (format!("preamble\r\n{whole}"), FormError::Start),
        ("--b0undary--\r\n".to_owned(), FormError::BehindEnd(12)),
        (whole.replace("--b0undary--\r\n", ""), FormError::Truncated),
        (format!("{whole}more"), FormError::BehindEnd(whole.len() - 2)),
        (format!("{whole}{whole}"), FormError::BehindEnd(whole.len() - 2)),
        (whole.replacen("--b0undary\r\n", "--b0undary \r\n", 1), FormError::Delimiter(0)),
        (whole.replacen("--b0undary\r\n", "--b0undary\n", 1), FormError::Delimiter(0)),
    ];
    for (text, error) in cases {
        assert_eq!(form(&text), Err(error), "{text:?}");
    }
    for line in
        ["\n--b0undary\r\n", "\r--b0undary\r\n", "\r\n--b0undaryX\r\n", "\r\n--b0undary", "\n--b0undary--"]
    {
        let text = body(&[("; name=\"a\"", &format!("x{line}y")), ("; name=\"model\"", "m")]);
        assert!(form(&text).is_err(), "{line:?}");
    }
    // In the middle of a line it is content.
    assert!(form(&body(&[("; name=\"model\"", "m"), ("; name=\"a\"", "x--b0undary--\r\ny")])).is_ok());
    assert!(form("--b0undary\r\n\r\nm\r\n--b0undary--").is_err(), "no headers");
    assert!(
        form("--b0undary\r\nContent-Disposition: form-data; name=\"a\"\r\n--b0undary--").is_err(),
        "no empty line"
    );
    assert!(form("--b0undary\r\n--b0undary--").is_err(), "nothing");
    let long = format!("; name=\"a\"\r\nX: {}", "x".repeat(HEAD_MAX));
    assert!(matches!(form(&body(&[(&long, "v")])), Err(FormError::Head(_))));
    let many = vec![("; name=\"a\"", "v"); PARTS_MAX + 1];
    assert_eq!(form(&body(&many)), Err(FormError::TooManyParts));
    assert!(form(&body(&many[1..])).is_ok());
}

#[test]
fn a_boundary_is_read_as_every_server_reads_it_or_not_at_all() {
    let text = body(&[("; name=\"model\"", "m")]);
    let parse = |content_type: &str| Form::parse(content_type.as_bytes(), text.as_bytes()).map(|_| ());
    for content_type in [
        "multipart/form-data; boundary=b0undary",
        "Multipart/Form-Data;BOUNDARY=\"b0undary\"",
        "multipart/form-data; charset=utf-8; boundary=b0undary;",
    ] {
        assert!(is_form(content_type.as_bytes()));
        assert_eq!(parse(content_type), Ok(()), "{content_type}");
    }
    for content_type in [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"b0undary",
        "multipart/form-data; boundary=\"b\\0undary\"",
        "multipart/form-data; boundary=b0undary; boundary=other",
        "multipart/form-data; boundary=b0undary; Boundary*=utf-8''other",
        "multipart/form-data; boundary=b0undary other",
        "multipart/form-data; boundary=b0undary, multipart/form-data; boundary=other",
        "multipart/form-data; boundary=\"b0undary \"",
        "multipart/form-data; boundary=b{}",
        "multipart/form-data; boundary=b0undary; charset=punycode",
    ] {
        assert_eq!(parse(content_type), Err(FormError::Boundary), "{content_type}");
    }
    for content_type in ["", "application/json", "multipart/mixed; boundary=b", "multipart/form-data+x"] {
        assert!(!is_form(content_type.as_bytes()), "{content_type}");
    }
}

proptest! {
    #[test]
    fn whatever_the_files_hold_the_model_is_found_and_it_alone_is_replaced(
        files in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                prop::sample::select(vec!["\r\n", "--", "b0undary", "--b0undary", "\n", "--b0undary--", "\r\n\r\n"])
                    .prop_map(|text| text.as_bytes().to_vec()),
                prop::collection::vec(any::<u8>(), 0..12),
            ], 0..8).prop_map(|pieces| pieces.concat()),
            0..4,
        ),
        place in 0..5_usize,
        model in "[a-z/:.-]{1,12}",
        other in "[a-zé/:.-]{1,24}",
    ) {
        let mut parts: Vec<(String, Vec<u8>)> = files.iter().enumerate().map(|(n, file)| {
            (format!("; name=\"file{n}\"; filename=\"f\"\r\nContent-Type: a/b"), file.clone())
        }).collect();
        parts.insert(place.min(parts.len()), ("; name=\"model\"".to_owned(), model.clone().into_bytes()));
        let write = |model: &str| {
            let mut text = Vec::new();
            for (rest, value) in &parts {
                let value = if rest.ends_with("model\"") { model.as_bytes() } else { value };
                text.extend(format!("--b0undary\r\nContent-Disposition: form-data{rest}\r\n\r\n").bytes());
                text.extend(value);
                text.extend(b"\r\n");
            }
            text.extend(b"--b0undary--\r\n");
            text
        };
        let text = write(&model);
        // A line that begins like a boundary is refused; where none does, all is found.
        let lines = files.iter().any(|file| {
            let led = [b"\n".as_slice(), file].concat();
            [b"\n--b0undary".as_slice(), b"\r--b0undary"].iter().any(|line| memmem::find(&led, line).is_some())
        });
        match Form::parse(TYPE, &text) {
            Err(_) => prop_assert!(lines),
            Ok(form) => {
                prop_assert!(!lines);
                prop_assert_eq!(form.text("model"), Some(model.as_str()));
                let sizes: Vec<_> = form.files().iter().map(|file| file.bytes).collect();
                prop_assert_eq!(sizes, files.iter().map(|file| file.len() as u64).collect::<Vec<_>>());
                let edits = form.model_edits(&other, true).unwrap();
                let rewritten = edits.rewrite(&text).unwrap();
                prop_assert_eq!(&rewritten, &write(&other));
                let again = Form::parse(TYPE, &rewritten).unwrap();
                prop_assert_eq!(again.text("model"), Some(other.as_str()));
            }
        }
        // However it is cut off, it is no form.
        for end in 0..text.len() - 2 {
            prop_assert!(lines || Form::parse(TYPE, &text[..end]).is_err());
        }
    }

    #[test]
    fn nothing_makes_the_scanner_panic(
        content_type in "multipart/form-data(; ?(boundary|x)\\*?=\"?[b;=\"\\\\ ]{0,4}\"?){0,3}",
        pieces in prop::collection::vec(prop::sample::select(vec![
            "--b", "\r\n", "--", "\n", "\r", "Content-Disposition: form-data; name=\"model\"", "\"", ";", "name=", "\r\n\r\n", "x", ":", "\0",
        ]), 0..24),
    ) {
        let text = pieces.concat();
        for content_type in [content_type.as_bytes(), b"multipart/form-data; boundary=b"] {
            if let Ok(form) = Form::parse(content_type, text.as_bytes()) {
                let _ = (form.files(), form.model_edits("m", true));
            }
        }
    }
}
