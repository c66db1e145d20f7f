use crate::json::scan::Object;
use crate::request::references::*;

const OPENAI: &Family = &crate::api::openai::FAMILY;
const ANTHROPIC: &Family = &crate::api::anthropic::FAMILY;
const GEMINI: &Family = &crate::api::gemini::FAMILY;
const COHERE: &Family = &crate::api::cohere::FAMILY;

/// Member and grant of the references of a body: of those to what is stored, and of those to files.
fn found(family: &Family, body: &str) -> [Option<&'static str>; 2] {
    let object = Object::parse(body.as_bytes()).unwrap();
    let found = References::of(family, object.iter());
    [found.stored, found.files]
}

#[test]
#[rustfmt::skip]
fn what_is_stored_is_found_wherever_an_api_can_name_it() {
    for (family, body, member) in [
        (OPENAI, r#"{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]}"#, "item_reference"),
        (OPENAI, r#"{"input":[{"id":"msg_1"}]}"#, "item_reference"),
        (OPENAI, r#"{"input":[{"id":"msg_1","type":null,"status":null}]}"#, "item_reference"),
        (OPENAI, r#"{"input":[{"type":"image_generation_call","id":"ig_1"}]}"#, "item_reference"),
        (OPENAI, r#"{"input":[{"type":"item\u005freference","x":1}]}"#, "item_reference"),
        (OPENAI, r#"{"input":[{"type":"code_interpreter_call","id":"ci_1","container_id":"cntr_1","code":"x"}]}"#, "container_id"),
        (OPENAI, r#"{"prompt":{"id":"pmpt_1","version":"2"}}"#, "prompt.id"),
        (OPENAI, r#"{"Prompt":{"ID":"pmpt_1"}}"#, "prompt.id"),
        (OPENAI, r#"{"conversation":{"id":"conv_1"}}"#, "conversation"),
        (OPENAI, r#"{"tools":[{"type":"web_search"},{"type":"file_search","vector_store_ids":["vs_1"]}]}"#, "vector_store_ids"),
        (OPENAI, r#"{"tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#, "container"),
        (OPENAI, r#"{"tools":[{"type":"shell","environment":{"type":"container_reference","container_id":"cntr_1"}}]}"#, "container_id"),
        (OPENAI, r#"{"tools":[{"type":"shell","environment":{"skills":[{"type":"skill_reference","skill_id":"s"}]}}]}"#, "skill_id"),
        (OPENAI, r#"{"tools":[{"type":"document_library","library_ids":["l"]}]}"#, "library_ids"),
        (OPENAI, r#"{"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#, "messages.audio.id"),
        (OPENAI, r#"{"audio":{"voice":{"id":"voice_1"}}}"#, "audio.voice.id"),
        (OPENAI, r#"{"data_sources":[{"type":"azure_search","parameters":{}}]}"#, "data_sources"),
        (OPENAI, r#"{"extra_body":{"google":{"cached_content":"cachedContents/x"}}}"#, "cached_content"),
        (ANTHROPIC, r#"{"container":"container_1"}"#, "container"),
        (ANTHROPIC, r#"{"container":{"id":"container_1","skills":[]}}"#, "container.id"),
        (ANTHROPIC, r#"{"container":{"skills":[{"type":"anthropic","skill_id":"pptx"},{"type":"custom","skill_id":"s"}]}}"#, "container.skills"),
        (GEMINI, r#"{"contents":[],"cachedContent":"cachedContents/x"}"#, "cachedContent"),
        (GEMINI, r#"{"contents":[],"cached_content":"cachedContents/x"}"#, "cached_content"),
        (GEMINI, r#"{"generateContentRequest":{"cachedContent":"cachedContents/x"}}"#, "cachedContent"),
        (GEMINI, r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/x"]}}]}"#, "fileSearchStoreNames"),
        (GEMINI, r#"{"tools":{"file_search":{"file_search_store_names":["fileSearchStores/x"]}}}"#, "file_search_store_names"),
        (GEMINI, r#"{"tools":[{"retrieval":{"vertexAiSearch":{"datastore":"d"}}}]}"#, "retrieval"),
        (COHERE, r#"{"previous_response_id":"r"}"#, "previous_response_id"),
    ] {
        assert_eq!(found(family, body), [Some(member), None], "{body}");
    }
}

#[test]
#[rustfmt::skip]
fn files_are_found_wherever_an_api_can_name_them() {
    for (family, body, member) in [
        (OPENAI, r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#, "file_id"),
        (OPENAI, r#"{"input":[{"role":"user","content":[{"type":"input_image","FILE_ID":"file-1"}]}]}"#, "file_id"),
        (OPENAI, r#"{"input":[{"type":"computer_call_output","call_id":"c","output":{"type":"computer_screenshot","file_id":"f"}}]}"#, "file_id"),
        (OPENAI, r#"{"input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_id":"f"}]}]}"#, "file_id"),
        (OPENAI, r#"{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"file","file":{"file_id":"f"}}]}]}"#, "file_id"),
        (OPENAI, r#"{"messages":[{"role":"user","content":[{"type":"file","file_id":"f"}]}]}"#, "file_id"),
        (OPENAI, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}"#, "url"),
        (OPENAI, r#"{"messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"ms:\/\/f"}}]}]}"#, "url"),
        (OPENAI, r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"gs://bucket/x"}]}]}"#, "image_url"),
        (OPENAI, r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto","file_ids":["f"]}}]}"#, "file_ids"),
        (OPENAI, r#"{"tools":[{"type":"image_generation","input_image_mask":{"file_id":"f"}}]}"#, "file_id"),
        (ANTHROPIC, r#"{"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#, "file_id"),
        (ANTHROPIC, r#"{"messages":[{"role":"user","content":[{"type":"container_upload","file_id":"f"}]}]}"#, "file_id"),
        (ANTHROPIC, r#"{"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}]}]}"#, "file_id"),
        (GEMINI, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/x"}}]}]}"#, "fileUri"),
        (GEMINI, r#"{"contents":{"parts":{"file_data":{"file_uri":"HTTPS://u@GenerativeLanguage.googleapis%2Ecom.:443/v1beta/files/x"}}}}"#, "file_uri"),
        (GEMINI, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"gs://bucket/x"}}]}]}"#, "fileUri"),
        (GEMINI, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"files/x"}}]}]}"#, "fileUri"),
        (GEMINI, r#"{"systemInstruction":{"parts":[{"fileData":{"fileUri":"files/x"}}]}}"#, "fileUri"),
        (GEMINI, r#"{"contents":[{"parts":[{"functionResponse":{"name":"f","parts":[{"fileData":{"fileUri":"files/x"}}]}}]}]}"#, "fileUri"),
        (GEMINI, r#"{"requests":[{"content":{"parts":[{"fileData":{"fileUri":"files/x"}}]}}]}"#, "fileUri"),
        (COHERE, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"s3://b/x"}}]}]}"#, "url"),
    ] {
        assert_eq!(found(family, body), [None, Some(member)], "{body}");
    }
}

#[test]
#[rustfmt::skip]
fn what_only_has_the_name_of_a_reference_is_none() {
    for (family, body) in [
        (OPENAI, r#"{"previous_response_id":null,"conversation":null,"prompt":null,"tools":[{"type":"file_search","vector_store_ids":[ ]}]}"#),
        (OPENAI, r#"{"prompt":["id",{"variables":{"id":"x","file":"y"}}],"metadata":{"file_id":"f","container":"c"}}"#),
        (OPENAI, r#"{"tools":[{"type":"function","name":"f","parameters":{"properties":{"file_id":{"type":"string"},"vector_store_ids":{"type":"array"},"container":"c"}}}]}"#),
        (OPENAI, r#"{"tools":[{"type":"function","function":{"name":"f","parameters":{"file_id":1,"container":"c"}}}]}"#),
        (OPENAI, r#"{"tools":[{"type":"code_interpreter","container":{"type":"auto"}}]}"#),
        (OPENAI, r#"{"response_format":{"json_schema":{"schema":{"properties":{"file_id":{}}}}},"text":{"format":{"schema":{"file_id":1}}}}"#),
        (OPENAI, r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"c","function":{"arguments":"{\"file_id\":\"f\"}"}}]},{"role":"tool","tool_call_id":"c","content":"{\"file_id\":\"f\"}"}]}"#),
        (OPENAI, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}},{"type":"image_url","image_url":{"url":"data:image/png;base64,aaaa"}},{"type":"input_audio","input_audio":{"data":"aaaa"}}]}]}"#),
        (OPENAI, r#"{"input":[{"type":"message","id":"msg_1","role":"assistant","content":[{"type":"output_text","text":"file_id"}]},{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},{"type":"image_generation_call","id":"ig_1","result":"aaaa"},{"type":"function_call","id":"fc_1","call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c","output":"x"}]}"#),
        (OPENAI, r#"{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:text/plain,gs://x"},{"type":"input_file","file_url":"https://example.com/a.pdf"},{"type":"input_file","filename":"a","file_data":"data:application/pdf;base64,aaaa"}]}],"voice":"alloy","audio":{"voice":"alloy"}}"#),
        (OPENAI, r#"{"input":["a","b"],"dimensions":3}"#),
        (ANTHROPIC, r#"{"container":null,"tools":[{"name":"f","input_schema":{"properties":{"file_id":{},"container":{}}}}]}"#),
        (ANTHROPIC, r#"{"container":{"skills":[{"type":"anthropic","skill_id":"pptx"}]}}"#),
        (ANTHROPIC, r#"{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"file_id":"f","source":{"file_id":"f"}}}]},{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}},{"type":"image","source":{"type":"base64","data":"aaaa"}}]}]}"#),
        (GEMINI, r#"{"contents":[{"parts":[{"functionCall":{"name":"f","args":{"file_id":"f","fileUri":"files/x"}}},{"functionResponse":{"name":"f","response":{"fileData":{"fileUri":"files/x"}}}}]}]}"#),
        (GEMINI, r#"{"contents":[{"parts":[{"fileData":{"fileUri":"https://www.youtube.com/watch?v=x"}},{"fileData":{"fileUri":"https://example.com/generativelanguage.googleapis.com"}},{"inlineData":{"data":"aaaa"}}]}],"tools":[{"functionDeclarations":[{"name":"fileSearch","parameters":{"properties":{"fileSearchStoreNames":{}}}}]},{"googleSearch":{}}]}"#),
        (COHERE, r#"{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]}],"documents":[{"id":"d","data":{"file_id":"f"}}]}"#),
    ] {
        assert_eq!(found(family, body), [None, None], "{body}");
    }
}

#[test]
fn each_grant_is_asked_for_by_itself() {
    let body = r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}],
        "tools":[{"type":"file_search","vector_store_ids":["vs_1"]}]}"#;
    let found = References::of(OPENAI, Object::parse(body.as_bytes()).unwrap().iter());
    assert_eq!(found.missing(|_| false), Some(("vector_store_ids", Feature::Stored)));
    assert_eq!(found.missing(|feature| feature == Feature::Stored), Some(("file_id", Feature::Files)));
    assert_eq!(
        found.missing(|feature| feature == Feature::Files),
        Some(("vector_store_ids", Feature::Stored))
    );
    assert_eq!(found.missing(|_| true), None);
}

#[test]
fn deep_and_odd_bodies_are_searched_to_their_end() {
    let deep = format!(r#"{{"input":{}1{},"conversation":"c"}}"#, "[".repeat(120), "]".repeat(120));
    assert_eq!(found(OPENAI, &deep), [Some("conversation"), None]);
    for odd in ["[]", "{}", "[{}]", "[[],{\"content\":[]}]", "7", "[null,{\"content\":null}]"] {
        let body =
            format!(r#"{{"input":{odd},"messages": {odd} , "tools" : {odd},"previous_response_id":"r"}}"#);
        assert_eq!(found(OPENAI, &body), [Some("previous_response_id"), None], "{odd}");
    }
}
