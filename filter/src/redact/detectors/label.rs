//! Words that announce a value which would mean nothing alone, in many languages, and the way from such a word
//! to its value.
//!
//! A word is never part of a match; it only has to stand within [`REACH`] bytes before it.

use std::collections::VecDeque;

use crate::redact::detectors::lexicon::Lexicon;
use crate::redact::text::cost::look;
use crate::redact::text::placeholder::MASK;
use crate::redact::text::view::{ALNUM, ALPHA, BLANK, GAP, View, is};

/// How far a detector looks back before a value, in bytes: the longest word, the longest gap, and the
/// characters around them.
pub(crate) const REACH: usize = 160;
/// Longest gap between a word and its value.
const GAP_MAX: usize = 48;
/// Longest remark in the gap.
const REMARK_MAX: usize = 20;
/// Most line ends, and most filler words, in the gap.
const LINES_MAX: usize = 2;
const FILLERS_MAX: usize = 6;

/// The kind of value that a word announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Birth,
    Passport,
    Licence,
    Ssn,
    /// A payment card.
    Card,
    Phone,
    /// A key or token: letters and digits, long.
    Secret,
    /// A password chosen by a person.
    Password,
    /// An authorization scheme: `Bearer …`.
    Scheme,
    /// An option of a command before `user:password`.
    Login,
    AwsSecret,
    AwsSession,
    Azure,
}

/// The words, lowercase where ASCII; they are matched in any case.
#[rustfmt::skip]
pub(crate) const WORDS: &[(Word, &[&str])] = &[
    (
        Word::Birth,
        &[
            "date of birth", "date_of_birth", "dateofbirth", "date-of-birth", "birth date", "birth_date",
            "birthdate", "birthday", "born", "dob", "d.o.b", "geburtsdatum", "geboren", "geb.", "geburtstag",
            "date de naissance", "date_naissance", "né le", "née le", "né(e) le", "ne le", "nee le",
            "fecha de nacimiento", "fecha_nacimiento", "nacido el", "nacida el", "nació el", "f. nac",
            "data di nascita", "data_nascita", "nato il", "nata il", "nato a", "data de nascimento",
            "nascido em", "nascida em", "nasceu em", "geboortedatum", "födelsedatum", "född", "fødselsdato",
            "født", "syntymäaika", "data urodzenia", "urodzony", "urodzona", "ur.", "datum narození",
            "doğum tarihi", "дата рождения", "Дата рождения", "родился", "родилась", "Родился", "Родилась",
            "出生日期", "生日", "出生年月日", "生年月日", "誕生日", "생년월일", "생일", "تاريخ الميلاد",
            "जन्म तिथि", "जन्मतिथि", "ngày sinh", "tanggal lahir", "תאריך לידה",
        ],
    ),
    (
        Word::Passport,
        &[
            "passport", "reisepass", "pass-nr", "passnummer", "passeport", "pasaporte", "passaporto",
            "passaporte", "paspoort", "paszport", "pasaport", "cestovní pas", "паспорт", "Паспорт", "ПАСПОРТ",
            "паспорта", "护照", "護照", "パスポート", "旅券", "여권", "جواز السفر", "جواز سفر", "पासपोर्ट",
            "hộ chiếu", "דרכון", "διαβατήριο", "passinumero",
        ],
    ),
    (
        Word::Licence,
        &[
            "driver's license", "driver's licence", "drivers license", "drivers licence", "driver license",
            "driver licence", "driving license", "driving licence", "driver_license", "drivers_license",
            "driver_licence", "driving_licence", "driving_license", "driverslicense", "driverlicense",
            "licence number", "license number", "licence no", "license no", "dl no", "dl number", "dl#", "dl #", "dl:", "dln", "führerschein",
            "fuehrerschein", "führerscheinnummer", "permis de conduire", "permis_de_conduire",
            "licencia de conducir", "licencia_conducir", "permiso de conducir", "carnet de conducir",
            "licencia de manejo", "patente di guida", "numero patente", "patente n", "carteira de motorista",
            "carteira de habilitação", "carta de condução", "cnh", "rijbewijs", "rijbewijsnummer", "körkort",
            "førerkort", "kørekort", "ajokortti", "prawo jazdy", "prawa jazdy", "řidičský průkaz",
            "водительское удостоверение", "Водительское удостоверение", "водительские права",
            "водительского удостоверения", "驾驶证", "驾照", "駕照", "運転免許証", "運転免許", "免許証番号",
            "운전면허", "운전면허증", "ehliyet", "رخصة القيادة", "ड्राइविंग लाइसेंस", "bằng lái",
        ],
    ),
    (
        Word::Ssn,
        &["ssn", "social security", "social_security", "social sec", "soc sec", "soc. sec", "socialsecurity"],
    ),
    (
        Word::Card,
        &[
            "card", "card_number", "cardnumber", "creditcard", "credit_card", "debitcard", "cc ", "cc:", "cc#", "ccn", "pan",
            "maestro", "mastercard", "visa", "jcb", "kreditkarte", "kartennummer", "kreditkartennummer",
            "carte bancaire", "carte de crédit", "carte bleue", "numéro de carte", "tarjeta", "carta di credito",
            "cartão", "betaalkaart", "karta", "kortnummer", "карта", "карты", "银行卡", "信用卡", "カード番号",
        ],
    ),
    (
        Word::Phone,
        &[
            "phone", "telephone", "call", "dial", "my number", "mobile", "cell", "cellphone", "tel", "tel.", "telefon", "telefonnummer",
            "handy", "handynummer", "mobil", "mobilnummer", "rufnummer", "téléphone", "tél", "portable",
            "teléfono", "telefono", "celular", "móvil", "telefone", "telemóvel", "cellulare", "telefoon",
            "whatsapp", "fax", "sms", "msisdn", "phone_number", "phonenumber", "telefonu", "puhelin",
            "puhelinnumero", "телефон", "Телефон", "тел", "Тел", "мобильный", "电话", "電話", "手机", "手機",
            "联系方式", "携帯", "電話番号", "전화", "전화번호", "휴대폰", "هاتف", "جوال", "फ़ोन", "मोबाइल",
            "điện thoại", "טלפון", "τηλέφωνο", "numer telefonu", "contact", "contact number", "desk", "office:",
            "home:", "work:", "direct:", "hotline", "landline", "answering at", "messages to", "reach me", "reach us",
            "reached at", "text me", "text us", "ring me", "ring us",
        ],
    ),
    (
        Word::Secret,
        &[
            "api_key", "apikey", "api-key", "api key", "api_secret", "apisecret", "api-secret", "api secret",
            "api_token", "api-token", "apitoken", "api token", "access_key", "accesskey", "access-key",
            "access key", "access_token", "accesstoken", "access-token", "access token", "auth_token",
            "authtoken", "auth-token", "auth token", "auth_key", "refresh_token", "refreshtoken",
            "refresh-token", "id_token", "bearer_token", "client_secret", "clientsecret", "client-secret",
            "client secret", "consumer_secret", "app_secret", "appsecret", "secret_key", "secretkey",
            "secret-key", "secret key", "secret", "signing_key", "encryption_key", "encryptionkey",
            "private_token", "private-token", "private_key", "session_token", "webhook_secret", "token",
            "_auth", "authorization", "x-auth", "subscription_key", "subscription-key", "license_key",
            "credentials", "credential", "creds", "private-key", "privatekey", "authkey", "auth-key", "auth key",
            "app_key", "appkey", "app-key", "app key", "service_key", "servicekey", "server_key", "user_key",
            "api_hash", "master_key", "masterkey", "shared_key", "hmac_key", "jwt_key", "x-amz-signature",
            "x-goog-signature", "?key=", "&key=",
        ],
    ),
    (
        Word::Password,
        &[
            "password", "passwd", "db_pass", "dbpass", "user_pass", "userpass", "smtp_pass", "mail_pass", "ftp_pass",
            "admin_pass", "root_pass", "login_pass", "email_pass", "redis_pass", "mysql_pass", "ssh_pass",
            "passcode", "passphrase", "pass_phrase", "pwd", "passwort", "kennwort", "mot de passe",
            "mot_de_passe", "motdepasse", "contraseña", "contrasena", "clave", "senha", "wachtwoord",
            "lösenord", "hasło", "пароль", "Пароль", "密码", "密碼", "口令", "パスワード", "비밀번호", "şifre",
            "parola", "كلمة المرور", "पासवर्ड", "mật khẩu", "סיסמה",
        ],
    ),
    (Word::Scheme, &["bearer ", "basic "]),
    (Word::Login, &[" -u ", " -u\"", " -u'", "--user ", "--user=", "--proxy-user "]),
    (
        Word::AwsSecret,
        &[
            "secret_access_key", "secretaccesskey", "secret-access-key", "secret access key",
            "aws_secret_key", "aws_secret", "awssecretkey", "aws secret key", "aws secret",
        ],
    ),
    (Word::AwsSession, &["session_token", "sessiontoken", "session-token", "security_token", "security-token"]),
    (
        Word::Azure,
        &[
            "accountkey", "account_key", "sharedaccesskey", "shared_access_key", "ocp-apim-subscription-key",
            "azure_openai_api_key", "azure_openai_key", "azure-openai-api-key", "azureopenaiapikey",
            "azure_api_key", "azure api key", "azure_openai_ad_token", "azure openai key",
            "azure_storage_key", "azure_search_key", "azure_search_api_key", "storage_account_key",
            "storagekey", "storage_key", "storage-key", "storage key", "account-key", "account key", "functions-key",
            "function_key", "cosmos_key", "cosmosdb_key", "primary_key", "primarykey",
            "primary-key", "primary key", "secondary_key", "secondarykey", "azure_devops_pat", "azure_client_secret", "azure openai api key", "cognitive_services_key",
        ],
    ),
];

/// Words that may stand between another word and its value.
#[rustfmt::skip]
static FILLERS: Lexicon<71> = Lexicon::new([
    "s", "is", "was", "no", "nr", "num", "number", "nos", "numbers", "on", "am", "the", "le", "el", "il", "em",
    "den", "dne", "der", "des", "im", "id", "ist", "war", "lautet", "nummer", "nº", "n°", "№", "numéro",
    "número", "numero", "n", "est", "es", "è", "é", "code", "at", "me", "us", "my", "your", "our", "his",
    "her", "of", "in", "series", "card", "book", "holder", "licence", "license", "numer", "číslo", "номер",
    "серия", "и", "号码", "號碼", "号", "是", "为", "は", "番号", "번호", "는", "은", "رقم", "संख्या",
]);

/// The gap after the last word, part by part. Words often stand in each other's gaps (`my number: my number: …`),
/// and what follows them is read once.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    parts: VecDeque<Part>,
}

/// The beginning of a part of a gap, with the line ends and filler words before it.
#[derive(Clone, Copy, Debug)]
struct Part {
    at: usize,
    lines: usize,
    fillers: usize,
}

/// What stands at the beginning of a part.
enum Next {
    /// It belongs to the gap; the next part begins here.
    Part(Part),
    Value,
    /// No value: an earlier replacement, or the end of the text.
    Nothing,
}

impl Part {
    /// Whether a gap that began with the part `first` may be as long as this.
    fn is_near(&self, first: &Self) -> bool {
        let (lines, fillers) = (self.lines - first.lines, self.fillers - first.fillers);
        self.at - first.at < GAP_MAX && lines <= LINES_MAX && fillers <= FILLERS_MAX
    }

    fn next(self, view: &View<'_>) -> Next {
        look(1);
        let Self { at, lines, fillers } = self;
        let Some(byte) = view.at(at) else { return Next::Nothing };
        if byte == b'*' && view.starts_with(at, MASK.as_bytes()) {
            return Next::Nothing;
        }
        let next = |at| Next::Part(Self { at, ..self });
        if let Some(after) = remark(view, at) {
            next(after)
        } else if byte == b'\n' || byte == b'\r' {
            Next::Part(Self { at: at + 1, lines: lines + 1, fillers })
        } else if is(byte, BLANK | GAP) {
            next(at + 1)
        } else if matches!(byte, 0xe2 | 0xe3) && view.at(at + 1) == Some(0x80) {
            // Quotes and brackets beyond ASCII.
            next(at + 3)
        } else {
            let Some(length) = FILLERS.longest(view, at) else { return Next::Value };
            // The beginning of another word: `no` in `north`, and of a value such as `N123`.
            if byte.is_ascii() && view.is(at + length, ALNUM) {
                return Next::Value;
            }
            Next::Part(Self { at: at + length, lines, fillers: fillers + 1 })
        }
    }
}

impl Gaps {
    /// Returns the start of the value announced by the word that ends at `end`; `None` if the gap is too long or
    /// the text ends in it. Words must be given in the order of their ends.
    pub fn value(&mut self, view: &View<'_>, end: usize) -> Option<usize> {
        /// Most gaps have fewer parts, and are not remembered.
        const SHORT: usize = 3;
        let first = Part { at: end, lines: 0, fillers: 0 };
        if self.parts.back().is_none_or(|last| last.at < end) {
            self.parts.clear();
            let (mut parts, mut part) = ([first; SHORT], first);
            for known in &mut parts {
                if !part.is_near(&first) {
                    return None;
                }
                *known = part;
                match part.next(view) {
                    Next::Part(next) => part = next,
                    Next::Value => return Some(part.at),
                    Next::Nothing => return None,
                }
            }
            self.parts.extend(parts);
            self.parts.push_back(part);
        }
        while self.parts.front().is_some_and(|part| part.at < end) {
            self.parts.pop_front();
        }
        if self.parts.front().is_none_or(|part| part.at != end) {
            self.parts.clear();
            self.parts.push_back(first);
        }
        let found = self.follow(view);
        if view.is_open() {
            // More text may change what these parts are.
            self.parts.clear();
        }
        found
    }

    fn follow(&mut self, view: &View<'_>) -> Option<usize> {
        let first = *self.parts.front()?;
        loop {
            let last = *self.parts.back()?;
            if !last.is_near(&first) {
                return None;
            }
            match last.next(view) {
                Next::Part(next) => self.parts.push_back(next),
                Next::Value => return Some(last.at),
                Next::Nothing => return None,
            }
        }
    }
}

/// Most values that one word announces.
pub(crate) const VALUES_MAX: usize = 8;

/// Returns the start of the next value of an enumeration after the value that ends at `end`: `…, … and …`.
pub(crate) fn also(view: &View<'_>, end: usize) -> Option<usize> {
    const JOINTS: [&[u8]; 10] =
        [b", and ", b", or ", b", ", b" and ", b" or ", b" / ", b" & ", b"; ", b" und ", b" et "];
    let joint = JOINTS.iter().find(|joint| view.starts_with_any_case(end, joint))?;
    Some(end + joint.len())
}

/// Skips some of these bytes, `max` at most.
pub(crate) fn skip(view: &View<'_>, from: usize, bytes: &[u8], max: usize) -> usize {
    let mut at = from;
    while at - from < max && view.at(at).is_some_and(|byte| bytes.contains(&byte)) {
        at += 1;
    }
    at
}

/// Returns the end of a remark in parentheses without digits: `(dd/mm/yyyy)`, `(USA)`.
pub(crate) fn remark(view: &View<'_>, at: usize) -> Option<usize> {
    if view.at(at) != Some(b'(') {
        return None;
    }
    let mut end = at + 1;
    while end - at < REMARK_MAX
        && view.at(end).is_some_and(|byte| is(byte, ALPHA | BLANK) || b"/.-_".contains(&byte))
    {
        end += 1;
    }
    (view.at(end) == Some(b')')).then_some(end + 1)
}

/// Suffixes that do not make another word: `Reisepassnummer`, `passports`.
const ENDINGS: [&[u8]; 8] = [b"nummer", b"number", b"numbers", b"num", b"nr", b"no", b"nos", b"s"];

/// Whether the word `start..end` is not part of another. Words within a name in code count: `passportNumber`,
/// `home_phone`.
pub(crate) fn stands_alone(view: &View<'_>, start: usize, end: usize) -> bool {
    let joined_before = view.is(start, ALPHA) && view.before_is(start, ALPHA);
    let camel_before = view.at(start).is_some_and(|byte| byte.is_ascii_uppercase())
        && view.before(start).is_some_and(|byte| byte.is_ascii_lowercase());
    let joined_behind = view.before_is(end, ALPHA) && view.is(end, ALPHA);
    let camel_behind = view.before(end).is_some_and(|byte| byte.is_ascii_lowercase())
        && view.at(end).is_some_and(|byte| byte.is_ascii_uppercase());
    let ending = || {
        let mut ended = ENDINGS
            .iter()
            .filter(|ending| view.starts_with_any_case(end, ending))
            .map(|ending| end + ending.len());
        ended.any(|end| !view.is(end, ALPHA))
    };
    (!joined_before || camel_before) && (!joined_behind || camel_behind || ending())
}
