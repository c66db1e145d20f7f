//! Random keys of each issuer's form: all of them are found, alone and in what surrounds keys.
//!
//! The forms are written as the issuers document them, apart from the table of the detectors.

use weir_filter::redact::{Allow, Counts, Detectors, Replacement};

use crate::generate::Generator;

/// Keys of each form.
const KEYS: usize = 200;

/// Issuers and the forms of their keys.
#[rustfmt::skip]
const FORMS: &[(&str, &str)] = &[
    ("Anthropic", "sk-ant-api03-[A-Za-z0-9_-]{93}AA"), ("Anthropic", "sk-ant-admin01-[A-Za-z0-9_-]{93}AA"),
    ("OpenAI", "sk-proj-[A-Za-z0-9_-]{74}T3BlbkFJ[A-Za-z0-9_-]{74}"), ("OpenAI", "sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}"),
    ("OpenAI", "sk-svcacct-[A-Za-z0-9_-]{58}T3BlbkFJ[A-Za-z0-9_-]{58}"), ("OpenAI", "sk-admin-[A-Za-z0-9_-]{58}T3BlbkFJ[A-Za-z0-9_-]{58}"),
    ("DeepSeek", "sk-[a-f0-9]{32}"), ("OpenRouter", "sk-or-v1-[a-f0-9]{64}"),
    ("Hugging Face", "hf_[A-Za-z]{34}"), ("Hugging Face", "hf_[A-Za-z0-9]{34}"), ("Hugging Face", "api_org_[A-Za-z]{34}"),
    ("Groq", "gsk_[A-Za-z0-9]{52}"), ("xAI", "xai-[A-Za-z0-9_]{80}"), ("Perplexity", "pplx-[A-Za-z0-9]{48}"),
    ("Replicate", "r8_[A-Za-z0-9_-]{37}"), ("NVIDIA", "nvapi-[A-Za-z0-9_-]{64}"),
    ("Langfuse", "sk-lf-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("LangSmith", "lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"), ("LangSmith", "ls__[a-f0-9]{32}"),
    ("Pinecone", "pcsk_[A-Za-z0-9]{5,6}_[A-Za-z0-9]{63}"), ("Together", "tgp_v1_[A-Za-z0-9_-]{43}"),
    ("Cerebras", "csk-[a-z0-9]{48}"), ("Tavily", "tvly-(?:dev-)?[A-Za-z0-9]{32}"), ("Jina", "jina_[a-f0-9]{32}[A-Za-z0-9_-]{28}"),
    ("Anyscale", "esecret_[a-z0-9]{26}"), ("LlamaCloud", "llx-[A-Za-z0-9]{48}"), ("RunPod", "rpa_[A-Z0-9]{46}"),
    ("Helicone", "sk-helicone-[a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7}-[a-z0-9]{7}"), ("E2B", "e2b_[a-f0-9]{40}"),
    ("Browserbase", "bb_live_[A-Za-z0-9_-]{27}"), ("Databricks", "dapi[a-f0-9]{32}"), ("Databricks", "dapi[a-f0-9]{32}-[0-9]"),
    ("Vectara", "zwt_[A-Za-z0-9_-]{42}"), ("Voiceflow", r"VF\.DM\.[a-f0-9]{24}\.[A-Za-z0-9]{16}"),
    ("Apify", "apify_api_[A-Za-z0-9]{36}"), ("SaladCloud", "salad_cloud_[A-Za-z0-9]{4}_[A-Za-z0-9]{40}"),
    ("ElevenLabs", "sk_[a-f0-9]{48}"),
    ("AWS", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"), ("AWS", "A3T[A-Z0-9][A-Z2-7]{16}"), ("AWS", "ABSK[A-Za-z0-9+/]{109}="),
    ("Google", "AIza[A-Za-z0-9_-]{35}"), ("Google", "GOCSPX-[A-Za-z0-9_-]{28}"), ("Google", r"ya29\.[A-Za-z0-9_-]{100}"),
    ("Google", "1//0[A-Za-z0-9_-]{96}"),
    ("Azure", "[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}"), ("Azure", "[A-Za-z0-9_-]{44}AzFu[A-Za-z0-9_-]{5}[AQgw]=="),
    ("Azure", "[A-Za-z0-9]{42}AzSe[A-D][A-Za-z0-9]{5}"), ("Azure", "[A-Za-z0-9]{33}AzCa[A-P][A-Za-z0-9]{5}="),
    ("Azure", "[a-zA-Z0-9]{3}[0-9]Q~[a-zA-Z0-9_-]{33}[A-Za-z]"), ("Azure", r"1\.A[A-Za-z0-9_-]{54}\.AgAB[A-Za-z0-9_-]{300}"),
    ("DigitalOcean", "do[opr]_v1_[a-f0-9]{64}"), ("Alibaba Cloud", "LTAI[A-Za-z0-9]{20}"), ("Tencent Cloud", "AKID[A-Za-z0-9]{32}"),
    ("Yandex Cloud", "AQVN[A-Za-z0-9_-]{36}"), ("Yandex Cloud", "YC[A-Za-z0-9_-]{0}[AMNO][A-Za-z0-9_-]{37}"), ("Scaleway", "SCW[A-Z0-9]{17}"),
    ("Heroku", "HRKU-AA[A-Za-z0-9_-]{58}"), ("Heroku", "HRKU-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("Fly.io", "fo1_[A-Za-z0-9_-]{43}"), ("Fly.io", "fm2_[A-Za-z0-9+/]{120}=="), ("Render", "rnd_[A-Za-z0-9]{32}"),
    ("Vercel", "vercel_blob_rw_[A-Za-z0-9]{16}_[A-Za-z0-9]{30}"), ("Netlify", "nf[pco]_[A-Za-z0-9]{36}"),
    ("Cloudflare", r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}"), ("Cloudflare", "cf(?:ut|at|k)_[A-Za-z0-9]{40}[a-f0-9]{8}"),
    ("Supabase", "sbp_[a-f0-9]{40}"), ("Supabase", "sb_secret_[A-Za-z0-9_-]{31}"), ("Neon", "napi_[a-z0-9]{64}"),
    ("PlanetScale", r"pscale_(?:tkn|oauth|pw)_[A-Za-z0-9_=.-]{31,63}[A-Za-z0-9]"), ("MongoDB Atlas", "mdb_sa_sk_[A-Za-z0-9_-]{40}"),
    ("Confluent", "cflt[A-Za-z0-9+/]{60}"), ("Aiven", "AVNS_[A-Za-z0-9_-]{19}"), ("ClickHouse", "4b1d[A-Za-z0-9]{38}"),
    ("Xata", "xau_[A-Za-z0-9]{41}"), ("Fauna", "fnA[A-Za-z0-9_-]{37}"), ("Deno", "dd[pw]_[A-Za-z0-9]{36}"),
    ("Docker", "dckr_pat_[A-Za-z0-9_-]{27}"), ("Docker", "dckr_oat_[A-Za-z0-9_-]{32}"), ("OpenShift", "sha256~[A-Za-z0-9_-]{43}"),
    ("Red Hat", "rh-api-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("Tailscale", "tskey-auth-[A-Za-z0-9]{12}CNTRL-[A-Za-z0-9]{32}"), ("Octopus Deploy", "API-[A-Z0-9]{26}"),
    ("Vault", r"hvs\.[A-Za-z0-9_-]{90,95}"), ("Vault", r"hvb\.[A-Za-z0-9_-]{138,160}"),
    ("Doppler", r"dp\.(?:pt|ct|sa|scim|audit)\.[A-Za-z0-9]{43}"), ("Doppler", r"dp\.st\.[a-z0-9_]{2,10}\.[A-Za-z0-9]{43}"),
    ("1Password", "ops_eyJ[A-Za-z0-9+/]{250}"), ("1Password", "A3-[A-Z0-9]{6}-[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}"),
    ("age", "AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}"), ("npm", "npm_[A-Za-z0-9]{36}"),
    ("PyPI", "pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{100,140}"), ("RubyGems", "rubygems_[a-f0-9]{48}"), ("NuGet", "oy2[a-z0-9]{43}"),
    ("crates.io", "cio[A-Za-z0-9]{32}"), ("Clojars", "CLOJARS_[a-z0-9]{60}"), ("JFrog", "AKCp[A-Za-z0-9]{69}"), ("JFrog", "cmVmdGtu[A-Za-z0-9]{56}"),
    ("CircleCI", "CCIPAT_[A-Za-z0-9]{22}_[a-f0-9]{40}"), ("Buildkite", "bkua_[a-f0-9]{40}"), ("Sonar", "sq[upa]_[a-f0-9]{40}"),
    ("Sourcegraph", "sgp_[a-f0-9]{16}_[a-f0-9]{40}"), ("Sourcegraph", "sgp_[a-f0-9]{40}"), ("Sourcegraph", "slk_[a-f0-9]{64}"),
    ("Pulumi", "pul-[a-f0-9]{40}"), ("Prefect", "pn[ub]_[A-Za-z0-9]{36}"), ("Infracost", "ico-[A-Za-z0-9]{32}"), ("Scalingo", "tk-us-[A-Za-z0-9_-]{48}"),
    ("Harness", r"(?:pat|sat)\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}"), ("Endor Labs", r"endr\+[A-Za-z0-9-]{16}"),
    ("Cal.com", "cal_live_[a-f0-9]{32}"), ("WakaTime", "waka_[a-f0-9]{8}-[a-f0-9]{4}-4[a-f0-9]{3}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("Samsara", "samsara_api_[A-Za-z0-9]{30}"), ("SettleMint", "sm_(?:aat|pat|sat)_[A-Za-z0-9]{16}"), ("Nightfall", "NF-[A-Za-z0-9]{32}"),
    ("Ubidots", "BBFF-[A-Za-z0-9]{30}"), ("Terraform Cloud", r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{67}"),
    ("GitHub", "gh[pousr]_[A-Za-z0-9]{36}"), ("GitHub", "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    ("GitLab", "(?:glpat|gldt|glrt|glft|glsoat|glffct)-[A-Za-z0-9_-]{20}"), ("GitLab", "glptt-[a-f0-9]{40}"), ("GitLab", "glcbt-[A-Za-z0-9]{2}_[A-Za-z0-9_-]{20}"),
    ("GitLab", "glimt-[A-Za-z0-9_-]{25}"), ("GitLab", "glagent-[A-Za-z0-9_-]{50}"), ("GitLab", "gloas-[a-f0-9]{64}"),
    ("GitLab", r"glpat-[A-Za-z0-9_-]{27,40}\.[0-9a-z]{9}"), ("GitLab", "GR1348941[A-Za-z0-9_-]{20}"),
    ("New Relic", "NRAK-[A-Z0-9]{27}"), ("New Relic", "NRII-[A-Za-z0-9_-]{32}"), ("New Relic", "NRJS-[a-f0-9]{19}"), ("New Relic", "[a-f0-9]{36}NRAL"),
    ("Grafana", "glsa_[A-Za-z0-9]{32}_[a-f0-9]{8}"), ("Grafana", "glc_eyJ[A-Za-z0-9+/]{60,160}"), ("Honeycomb", "hcaik_[a-z0-9]{58}"),
    ("Sentry", "sntryu_[a-f0-9]{64}"), ("Sentry", "sntrys_eyJpYXQiO[A-Za-z0-9+/]{100,200}_[A-Za-z0-9+/]{43}"),
    ("Dynatrace", r"dt0c01\.[A-Z2-7]{24}\.[A-Z2-7]{64}"), ("Rootly", "rootly_[a-f0-9]{64}"), ("PostHog", "phx_[A-Za-z0-9_]{43,48}"),
    ("LaunchDarkly", "(?:api|sdk|mob)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"), ("Checkly", "cu_[a-f0-9]{32}"),
    ("Stripe", "[rs]k_(?:live|test)_[A-Za-z0-9]{24,99}"), ("Stripe", "whsec_[A-Za-z0-9]{32}"),
    ("Square", "sq0atp-[A-Za-z0-9_-]{22}"), ("Square", "sq0csp-[A-Za-z0-9_-]{43}"), ("Square", "EAAA[A-Za-z0-9_-]{60}"),
    ("PayPal", r"access_token\$production\$[a-z0-9]{16}\$[a-f0-9]{32}"), ("Razorpay", "rzp_(?:live|test)_[A-Za-z0-9]{14}"),
    ("Flutterwave", "FLWSECK-[a-f0-9]{32}-X"), ("Flutterwave", "FLWSECK_TEST-[a-f0-9]{32}-X"),
    ("Plaid", "access-(?:sandbox|production)-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("Mollie", "live_[A-Za-z0-9]{30}"), ("Lob", "(?:live|test)_[a-f0-9]{35}"), ("GoCardless", "live_[A-Za-z0-9_-]{40}"),
    ("Shippo", "shippo_(?:live|test)_[a-f0-9]{40}"), ("EasyPost", "EZ[AT]K[A-Za-z0-9]{54}"), ("Duffel", "duffel_(?:live|test)_[A-Za-z0-9_-]{43}"),
    ("Paddle", "pdl_live_apikey_[a-z0-9]{26}_[A-Za-z0-9]{22}_[A-Za-z0-9]{3}"), ("Mercado Pago", "APP_USR-[0-9]{16}-[0-9]{6}-[a-f0-9]{32}-[0-9]{9}"),
    ("Ramp", "ramp_sec_[A-Za-z0-9]{48}"), ("Xendit", "xnd_production_[A-Za-z0-9]{60}"), ("Omise", "skey_(?:live|test)_[a-z0-9]{19}"),
    ("Pagar.me", "ak_live_[A-Za-z0-9]{30}"), ("Frame.io", "fio-u-[A-Za-z0-9_-]{64}"),
    ("SendGrid", r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"), ("Mailgun", "key-[a-f0-9]{32}"), ("Mailchimp", "[a-f0-9]{32}-us[1-9][0-9]"),
    ("Mandrill", "md-[A-Za-z0-9_-]{22}"), ("Brevo", "xkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}"), ("Resend", "re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}"),
    ("Twilio", "SK[a-f0-9]{32}"), ("Klaviyo", "pk_[a-f0-9]{34}"), ("ClickUp", "pk_[0-9]{7,8}_[A-Z0-9]{32}"),
    ("Telnyx", "KEY[A-F0-9]{32}_[A-Za-z0-9]{22}"), ("Intercom", "dG9rO[A-Za-z0-9+/]{54}="),
    ("HubSpot", "pat-(?:na|eu)1-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"), ("Salesforce", r"3MVG9[A-Za-z0-9._]{80}"),
    ("Shopify", "shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}"), ("WooCommerce", "c[ks]_[a-f0-9]{40}"),
    ("Amazon MWS", r"amzn\.mws\.[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"), ("Amazon LWA", r"amzn1\.oa2-cs\.v1\.[a-f0-9]{64}"),
    ("Facebook", "EAA[CMBG][A-Za-z0-9]{120}"), ("Instagram", "IGQ[A-Za-z0-9_-]{140}"),
    ("Discord", r"https://discord\.com/api/webhooks/[0-9]{18}/[A-Za-z0-9_-]{68}"), ("Telegram", "[0-9]{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("Microsoft Teams", r"https://acme\.webhook\.office\.com/webhookb2/[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}@[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}/IncomingWebhook/[a-f0-9]{32}/[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("Zapier", r"https://hooks\.zapier\.com/hooks/catch/[0-9]{7}/[a-z0-9]{7}"), ("LinkedIn", r"WPL_AP1\.[A-Za-z0-9]{16}\.[A-Za-z0-9+/]{6}=="),
    ("Dropbox", r"sl\.u\.[A-Za-z0-9_-]{130}"), ("Dropbox", r"sl\.B[A-Za-z0-9_-]{135}"),
    ("Slack", "xox[bp]-[0-9]{12}-[0-9]{12}-[A-Za-z0-9]{24}"), ("Slack", "xapp-1-A[A-Z0-9]{10}-[0-9]{13}-[a-f0-9]{64}"),
    ("Slack", r"https://hooks\.slack\.com/services/T[A-Z0-9]{8}/B[A-Z0-9]{10}/[A-Za-z0-9]{24}"), ("Slack", r"https://hooks\.slack\.com/triggers/T[A-Z0-9]{8}/[0-9]{13}/[a-f0-9]{32}"),
    ("Slack", r"https://hooks\.slack\.com/workflows/T[A-Z0-9]{10}/A[A-Z0-9]{10}/[0-9]{18}/[A-Za-z0-9]{24}"),
    ("Linear", "lin_api_[A-Za-z0-9]{40}"), ("Notion", "ntn_[0-9]{11}[A-Za-z0-9]{35}"), ("Notion", "secret_[A-Za-z0-9]{43}"),
    ("Airtable", r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"), ("Atlassian", "ATATT3xFfGF0[A-Za-z0-9_-]{171}=[A-F0-9]{8}"), ("Bitbucket", "ATBB[A-Za-z0-9]{32}"),
    ("Trello", "ATTA[a-f0-9]{72}"), ("Bitbucket Data Center", "BBDC-[A-Za-z0-9+/]{44}"), ("Figma", "figd_[A-Za-z0-9_-]{40}"),
    ("Typeform", "tfp_[A-Za-z0-9_]{44,59}"), ("Contentful", "CFPAT-[A-Za-z0-9_-]{43}"), ("Mapbox", r"sk\.eyJ[A-Za-z0-9]{60}\.[A-Za-z0-9_-]{22}"),
    ("Postman", "PMAK-[a-f0-9]{24}-[a-f0-9]{34}"), ("ReadMe", "rdme_[a-z0-9]{70}"), ("Adafruit", "aio_[A-Za-z0-9]{28}"), ("Adobe", "p8e-[a-z0-9]{32}"),
    ("Stytch", "secret-live-[A-Za-z0-9_-]{36}="), ("PubNub", "sub-c-[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"),
    ("TruffleHog", "thog-secret-[a-f0-9]{32}"), ("Photoroom", "sk_pr_[a-z]{5}_[a-f0-9]{40}"),
    ("Authress", r"(?:sc|ext|authress)_[a-z0-9]{10}\.[a-z0-9]{4}\.acc_[a-z0-9-]{16}\.[A-Za-z0-9+/_=-]{60}[A-Za-z0-9]"),
    ("Alchemy", "alcht_[A-Za-z0-9]{30}"), ("Close", r"api_[A-Za-z0-9]{22}\.[A-Za-z0-9]{22}"), ("42 Intra", "s-s4t2(?:ud|af)-[a-f0-9]{64}"),
    ("MaxMind", "[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk"),
];
/// Forms that are too short or too long by one, of another class, or words.
#[rustfmt::skip]
const SHORT: &[&str] = &[
    "hf_[A-Za-z0-9]{33}", "hf_[A-Za-z0-9]{35}", "npm_[A-Za-z0-9]{35}", "AKIA[A-Z2-7]{15}", "AKIA[A-Z2-7]{17}", "AKIA[a-z]{16}",
    "AIza[A-Za-z0-9]{34}", "ghp_[A-Za-z0-9]{35}", "glpat-[A-Za-z0-9]{19}", "sk-ant-[A-Za-z0-9]{19}", "xai-[a-z0-9]{40}",
    "dapi[a-f0-9]{31}", "dapi[g-z]{32}", r"SG\.[A-Za-z0-9]{21}\.[A-Za-z0-9]{43}",
    "shpat_[a-f0-9]{31}", "shpat_[g-z]{32}", "SK[a-f0-9]{31}", "sk[a-f0-9]{32}", "key-[a-f0-9]{31}", "key-[g-z]{32}",
    "[a-f0-9]{31}-us12", "[a-f0-9]{32}-usa", r"[a-z0-9]{13}\.atlasv1\.[a-z0-9]{67}", "[0-9]{7}:AA[A-Za-z0-9]{33}",
    "[0-9]{10}:AA[A-Za-z0-9]{32}", "[0-9]{10}:BB[A-Za-z0-9]{33}", "rubygems_[a-f0-9]{47}", "pypi-[A-Za-z0-9]{16}",
    "glpat-(?:Your|My)-Access-Token-Goes-Here", "sk_live_(?:secretkeygoeshere|yourkeyhere)", "GOCSPX-your-client-secret-goes-here",
    "whsec_your(?:webhooksecretgoeshere)", "secret_[a-z]{8}_[a-z]{10}", "test_[a-z]{5}_[a-z]{24}", "live_[a-z]{6}_[a-z]{25}",
    "figd_your_personal_access_token_goes_here_now", "pat[a-z]{14}-[a-f0-9]{64}", "re_[a-z]{8}_[a-z]{23}", "pk_[a-f0-9]{33}", "cs_[a-z]{40}",
];
/// Fewest issuers.
const ISSUERS_MIN: usize = 160;

fn redacted(detectors: &Detectors, text: &str) -> String {
    let set = weir_filter::redact::Set::secrets();
    detectors.redact(set, text, &mut Replacement::Mask, &mut Counts::default()).into_owned()
}

fn detectors() -> Detectors {
    Detectors::new(&[], &Allow::default(), "redaction").unwrap()
}

#[test]
fn every_random_key_of_every_issuer_is_found() {
    let detectors = detectors();
    let mut missed = Vec::new();
    for (place, (issuer, form)) in FORMS.iter().enumerate() {
        let mut generator = Generator::new(place as u64 + 1);
        for _ in 0..KEYS {
            let key = generator.text(form).unwrap();
            // Of an address the scheme and the host may remain.
            let secret =
                if key.starts_with("https://") { key.rsplit('/').next().unwrap_or(&key) } else { &key };
            let secret = secret.trim_end_matches(['-', '_', '=']);
            for text in [key.clone(), format!("Use {key}, it is new."), format!("{{\"v\":\"{key}\"}}")] {
                if redacted(&detectors, &text).contains(secret) {
                    missed.push(format!("{issuer}: {text}"));
                }
            }
        }
    }
    let shown: String = missed.iter().take(40).map(|miss| format!("{miss}\n")).collect();
    assert!(missed.is_empty(), "{} of them:\n{shown}", missed.len());
}

#[test]
fn there_are_forms_of_many_issuers() {
    let mut issuers: Vec<&str> = FORMS.iter().map(|(issuer, _)| *issuer).collect();
    issuers.sort_unstable();
    issuers.dedup();
    assert!(issuers.len() >= ISSUERS_MIN, "{}", issuers.len());
}

#[test]
fn what_resembles_a_key_is_none() {
    let detectors = detectors();
    let mut wrong = Vec::new();
    for (place, (issuer, form)) in FORMS.iter().enumerate() {
        // Any end of these is long enough for one of their forms, and webhooks are known by their host.
        if matches!(*issuer, "Slack" | "Discord" | "Microsoft Teams" | "Zapier") {
            continue;
        }
        let mut generator = Generator::new(place as u64 + 1);
        for _ in 0..KEYS / 10 {
            let key = generator.text(form).unwrap();
            let begun = &key[..12];
            let within = format!("a{key}");
            let placeholder: String = key
                .chars()
                .take(5)
                .chain(key.chars().skip(5).map(|c| if c.is_alphanumeric() { 'x' } else { c }))
                .collect();
            for text in [begun, &within, &placeholder] {
                if redacted(&detectors, text) != *text {
                    wrong.push(format!("{issuer}: {text}"));
                }
            }
        }
    }
    for (place, form) in SHORT.iter().enumerate() {
        let mut generator = Generator::new(place as u64 + 1);
        for _ in 0..KEYS {
            let text = generator.text(form).unwrap();
            if redacted(&detectors, &text) != text {
                wrong.push(format!("{form}: {text}"));
            }
        }
    }
    let shown: String = wrong.iter().take(60).map(|wrong| format!("{wrong}\n")).collect();
    assert!(wrong.is_empty(), "{} of them:\n{shown}", wrong.len());
}
