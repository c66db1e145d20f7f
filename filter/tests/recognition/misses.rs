//! What was missed once, and its siblings: each text, and the part that must not reach the output.

use weir_filter::redact::{Allow, Counts, Detectors, Replacement};

#[rustfmt::skip]
const MISSED: &[(&str, &str)] = &[
    // An IPv6 address before punctuation.
    ("Server IP: 2400:c401::5054:ff:fe1b:b031.", "5054"), ("from 2001:db8::1. Then", "2001:db8"),
    ("from 2001:db8::1, then", "2001:db8"), ("from 2001:db8::1; then", "2001:db8"), ("is it 2001:db8::1?", "2001:db8"),
    ("2001:db8::1!", "2001:db8"), ("(2001:db8::1).", "2001:db8"), ("'2001:db8::1'", "2001:db8"), ("**2001:db8::1**", "2001:db8"),
    ("2001:db8::1: no route", "2001:db8"), ("2001:db8::1 - down", "2001:db8"), ("<2001:db8::1>", "2001:db8"), ("2001:db8::1/64.", "2001:db8"),
    ("2001:db8:0:0:0:0:0:1.", "2001:db8"), ("fe80::1ff:fe23:4567:890a%eth0.", "fe23"), ("::ffff:192.0.2.128.", "192.0.2"), ("2001:db8::1…", "2001:db8"),
    ("2001:db8::1[2]", "2001:db8"), ("*10.1.2.3*", "10.1.2.3"), ("_10.1.2.3_", "10.1.2.3"), ("10.1.2.3.", "10.1.2.3"), ("00:1a:2b:3c:4d:5e.", "3c:4d"), ("001a.2b3c.4d5e.", "2b3c"),
    // A secret that begins as a date or a version does.
    ("\"refresh_token\": \"0.AXEAFN5Pl6TDG0ibA8_OGCw6B-kFbFJoXnhBqmJD9wukrpZxAMc\"", "AXEAFN"),
    ("api_key = \"1.Zx81kQpLm20vNNs7QpLm\"", "Zx81k"), ("api_key = \"2024-Zx81kQpLm20vNNs7QpLm\"", "Zx81k"),
    ("client_secret: 12.abcDEF456ghi789jkl", "abcDEF"), ("token=2024-01-x8Kq2PfW9sLd7Tz", "x8Kq"), ("secret = 3.9kLm2Qx81Zp0vN7s", "9kLm2"),
    // Keys without a digit.
    ("sk_live_GuGPbnvmZtiNSWSJ8q7ZdnRT", "GuGP"), ("sk_live_GuGPbnvmZtiNSWSJqZdnRTab", "GuGP"), ("glpat-FbYV-dVEAIIuDEKziVma", "FbYV"),
    ("glimt-my-tokens_are-correctAB38", "correctAB38"), ("gloas-checking_Length-Is-_exactly_64--checking_Length-Is-_exactly_64--", "exactly_64"),
    ("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", "ChLB"), ("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", "RmAe"), ("AKIAQWERTYUIOPASDFGH", "QWER"),
    ("sk-aBcDeFgHiJkLmNoPqRsTT3BlbkFJaBcDeFgHiJkLmNoPqRsT", "aBcD"), ("whsec_kYmZqWbGdUaNxLhPtRcVsKfJeOiQyBwM", "kYmZ"), ("npm_aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgHiJ", "aBcD"),
    // Every kind of Slack's webhooks.
    ("https://hooks.slack.com/services/T01ABCDEF/B01ABCDEF/bf3c17e91d84aac8458eb3bf", "bf3c"),
    ("https://hooks.slack.com/triggers/T01ABCDEF/6367991174194/bf3c17e91d84aac8458eb3bf2765308e", "bf3c"),
    ("https://hooks.slack.com/workflows/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", "F6Vm"),
    // Cards with other separators.
    ("card 4111  1111  1111  1111", "1111"), ("card 4111\t1111\t1111\t1111", "1111"), ("4111 - 1111 - 1111 - 1111", "1111"), ("4111_1111_1111_1111", "1111"),
    ("4111/1111/1111/1111", "1111"), ("4111·1111·1111·1111", "1111"), ("4111\u{a0}\u{a0}1111\u{a0}\u{a0}1111\u{a0}\u{a0}1111", "1111"), ("3782  822463  10005", "822463"),
    ("my card 180016070420458 is lost", "180016"), ("card no 503867297114", "503867"), ("credit card number is 060426070011", "060426"), ("cc 503802053770 on", "503802"),
    ("card: 4111,1111,1111,1111", "1111"), ("card 4111|1111|1111|1111", "1111"), ("credit card 5500-0000 0000-0004", "0004"), ("card\n4111\n1111\n1111\n1111", "1111"), ("５５００ ００００ ００００ ０００４", "００"),
    // Social security numbers with other separators beside their word.
    ("SSN: 536.22.8726", "8726"), ("SSN 536/22/8726", "8726"), ("social security number 536  22  8726", "8726"), ("SSNs: 536-22-8726 and 219.09.9998", "9998"),
    // Several values after one word, and its plural.
    ("Passports: AB1234567 and XY9876543", "XY98"), ("passports AB1234567, XY9876543 and CD4567890", "CD45"), ("phones: 5551234, 5554321", "5554321"),
    ("driver's licenses: D1234567 and D7654321", "D765"),
    // Addresses in other scripts.
    ("用户@例子.广告", "用户"), ("用户@例子.公司", "用户"), ("联系用户@example.com吧", "用户"), ("john@例子.中国", "john"), ("संपर्क@डाटामेल.भारत", "संपर्क"), ("발송@예시.한국 으로", "발송"), ("почта@пример.рф", "почта"), ("用户名@例子.com", "用户"), ("用户@例子.com.cn", "用户"),
    ("ผู้ใช้@ตัวอย่าง.คอม", "ผู้ใช้"), ("სახელი@მაგალითი.გე", "სახელი"), ("பெயர்@உதாரணம்.சிங்கப்பூர்", "பெயர்"), ("مثال@موقع.شبكة", "مثال"), ("משתמש@דוגמה.ישראל", "משתמש"), ("ユーザー@例え.みんな", "ユーザー"), ("사용자@예시.한국", "사용자"),
    ("pelé@exámple.com", "pelé"), ("δοκιμή@παράδειγμα.ελ", "δοκιμή"),
    // National forms of telephone numbers.
    ("8 (495) 123-45-67", "123-45"), ("8-495-123-45-67", "123-45"), ("8 800 555 35 35", "555 35"), ("8(495)1234567", "1234567"), ("612 34 56 78", "34 56"), ("91 123 45 67", "123 45"), ("532 123 45 67", "123 45"), ("98765 43210", "43210"),
    ("912-345-678", "345"), ("347 1234567", "1234567"), ("210 123 4567", "4567"), ("11 91234-5678", "91234"), ("9123-4567", "4567"), ("212/555-0123", "0123"), ("8 612 34567", "34567"), ("55-1234-5678", "5678"), ("412 34 567", "34 567"), ("22 428557", "428557"),
    ("(495) 123-45-67", "123-45"), ("71-33-52-22", "33-52"), ("(99) 645-791", "645"), ("0431 35 06 90", "35 06"), ("089 72 63 41", "63 41"), ("+7 (495) 123-45-67", "123-45"),
    ("+41 (0)69 979 80 58", "979"), ("345-899-3560x4587", "3560"), ("(212) 555-0123 ext. 12", "0123"), ("+1-604-696-5272x565", "5272"),
    ("781 1704 office", "1704"), ("3660170548-Fax", "366017"), ("9885 1152 (home)", "1152"), ("Phone: (99) 645-791", "645"), ("Mobile: 432 03 163", "163"), ("call 61 51 81", "51 81"),
    // Azure's keys near their names, and those that say whose they are.
    ("\"AccountKey\", \"lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==\"", "lJzR"),
    ("az cosmosdb -storagekey lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==", "lJzR"),
    ("process.env.ACCOUNT_KEY || \"lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==\"", "lJzR"),
    ("STORAGE_KEY ?= 'lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ=='", "lJzR"),
    ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=lJzRc1YdHaAA2KCNJJ1tkYwF/+mKK6Ygw0NGe170Xu592euJv2wYUtBlV8z+qnlcNQSnIYVTkLWntUO1F8j8rQ==;EndpointSuffix=x", "lJzR"),
    ("Endpoint=sb://a.servicebus.windows.net/;SharedAccessKeyName=Root;SharedAccessKey=aB3dE5gH7jK9mN1pQ3sT5uV7xY9zA1cD3eF5gH7iJ9k=", "aB3dE"),
    ("COSMOS_PRIMARY_KEY=C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw==", "C2y6"), ("Authorization: ApiKey 9f8e7d6c5b4a39281706f5e4", "9f8e7d"),
    // Connection strings.
    ("Password=%J#WoXAidZWc63M7;", "WoXA"), ("Server=tcp:db,1433;User ID=sa;Password=hello;Encrypt=True;", "hello"), ("Server=db;Uid=root;Pwd=secretword;", "secretword"),
    ("jdbc:mysql://db:3306/x?user=root&password=hunter", "hunter"), ("jdbc:postgresql://db/x?user=u&password=testpassword", "testpassword"), ("jdbc:oracle:thin:scott/tiger@//db:1521/x", "tiger"),
    ("jdbc:oracle:oci:scott/tiger@db", "tiger"), ("jdbc:sqlserver://db:1433;databaseName=x;user=sa;password=MyPass;encrypt=false", "MyPass"), ("sqlplus scott/tiger@orcl", "tiger"),
    ("Data Source=x;User ID=u;Password=p w x;Encrypt=yes", "p w"), ("Driver={x};UID=u;PWD={abc;def1};", "def1"), ("Password='pa;ss1';", "ss1"), ("password: \"p(1)ss,w\"", "ss,w"),
    ("postgres://app:s3cret@db/x", "s3cret"), ("postgresql+asyncpg://app:s3cret@db/x", "s3cret"), ("mysql://root:root1@db", "root1"), ("mariadb://app:s3cret@db", "s3cret"), ("mongodb+srv://app:s3cret@c.mongodb.net/x", "s3cret"),
    ("redis://:s3cret@cache:6379", "s3cret"), ("rediss://default:s3cret@cache", "s3cret"), ("amqp://guest:s3cret@mq", "s3cret"), ("clickhouse://default:s3cret@ch", "s3cret"), ("cockroachdb://app:s3cret@db", "s3cret"),
    ("mssql+pyodbc://sa:s3cret@db", "s3cret"), ("snowflake://user:s3cret@account/db", "s3cret"), ("neo4j+s://neo4j:s3cret@db", "s3cret"), ("couchbases://app:s3cret@cb", "s3cret"), ("cassandra://app:s3cret@c", "s3cret"),
    ("host=db user=app password=s3cret dbname=x", "s3cret"), ("Driver={ODBC Driver 18};Server=x;UID=sa;PWD=letmein;", "letmein"), ("Host=db;Username=app;Password=pgword;Database=x", "pgword"), ("ldap://cn=admin:s3cret@ldap", "s3cret"),
    ("https://3f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c@o1.ingest.sentry.io/1", "3f9a8b"),
    // Other signs between a name and its value, and the rest of a name.
    ("System.setProperty(\"x_TOKEN\", \"Zf3D0LXCM3EIMbgJpUNnkRtOfOueHznB\")", "Zf3D"), ("x_TOKEN ?= \"Zf3D0LXCM3EIMbgJpUNnkRtOfOueHznB\"", "Zf3D"), ("apiToken := `Zf3D0LXCM3EIMbgJpUNnkRtOfOueHznB`", "Zf3D"),
    ("if (api_key !== \"Zf3D0LXCM3EIMbgJpUNnkRtOfOueHznB\") {", "Zf3D"), ("some_api_token_123 = \"ctN1ZbwwXPJ3moBukZMZh3leQwPGcWCa\"", "ctN1"), ("mySecretString=Uhdi6D8ZWbTJa61PAvdjxnjhV5lhLy", "Uhdi6"),
    ("apikey = m{{h}o)p${e]nob(ody[finds>-_$#thisone}}", "nob("), ("curl -u elastic:P@ssw0rd1 https://localhost:9200", "P@ssw"), ("curl --user 'johns:h0pk1ns~21s' $URL", "h0pk"),
];

/// Texts that resemble them, and contain nothing.
#[rustfmt::skip]
const NOTHING: &[&str] = &[
    "version 1.2.3-beta4 of 2024-01-02T10:00:00Z", "api_key: 2024-01-02T10:00:00Z", "token = 1.2.3-rc1", "secret: 2024-05-01-preview",
    "std::vec::Vec<u8>", "a::b1::c", "感谢@小明。大家好", "感谢@小明。Thanks", "4111, 1111, 1111, 1111", "docker run -u 1000:1000 x", "git push -u origin main", "password_hash_type = sha256", "token_type: bearer1234567",
    "token_url = \"https://a.example/v1/token\"", "&key=%s&v=2024", "primary_key: 550e8400-e29b-41d4-a716-446655440000", "?password=secret; and then it said; more", "password = \"{0}\".format(x1)", "Password=%s;", "Password=${DB_PASSWORD};", "password=%(db_password)s", "sqlplus / as sysdba",
    "jdbc:oracle:thin:@host:1521:db", "postgres://${USER}:${PASSWORD}@db/x", "Nature 521 (99) 436-444", "100 20 30 40", "100 200 300", "200 300 4000", "12 34 56 78 90", "2020-2021", "668 5702 parts", "20 100000 rows", "2020 2021 2022 2023", "pages 123-45-67", "card 1234", "cards: 12 and 13",
    "hf_tokenizer_for_causal_language_models", "sk-learn-based-classification-of-things", "glpat-your-token-goes-here-please",
];

fn redacted(detectors: &Detectors, text: &str) -> String {
    detectors.redact(detectors.all(), text, &mut Replacement::Mask, &mut Counts::default()).into_owned()
}

#[test]
fn what_was_missed_once_is_found() {
    let detectors = Detectors::new(&[], &Allow::default(), "redaction").unwrap();
    let left = |(text, part): &&(&str, &str)| redacted(&detectors, text).contains(part);
    let missed: String = MISSED.iter().filter(left).map(|(text, _)| format!("{text}\n")).collect();
    assert!(missed.is_empty(), "missed:\n{missed}");
}

#[test]
fn what_only_resembles_it_is_left() {
    let detectors = Detectors::new(&[], &Allow::default(), "redaction").unwrap();
    let wrong = NOTHING.iter().map(|text| (text, redacted(&detectors, text)));
    let wrong: String =
        wrong.filter(|(text, out)| *text != out).map(|(text, out)| format!("{text} => {out}\n")).collect();
    assert!(wrong.is_empty(), "wrong:\n{wrong}");
}
