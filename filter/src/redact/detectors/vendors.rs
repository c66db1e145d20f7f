//! Keys of vendors without a detector of their own: a prefix, and the form of what follows, as the vendors
//! document them or as their own examples show.
//!
//! `generic_secret` finds them. The literals are looked up all at once, so a row costs nothing where its prefix
//! does not stand.

use crate::redact::detectors::form::Class::{
    Alnum, Base64, Capitals, Digits, Dotted, Hex, Name, Sealed, Token,
};
use crate::redact::detectors::form::{Class, Form, UUID, at_least, between, exactly as n};

/// A prefix and the form after it.
pub(crate) type Row = (&'static str, Form);
/// A run of exact length, the literal after it, and the form after that.
pub(crate) type Headed = (Class, u16, &'static str, Form);

/// Prefixes, by kind of vendor.
#[rustfmt::skip]
pub(crate) const ROWS: &[Row] = &[
    // Models and what serves them.
    ("sk-or-v1-", &[at_least(Hex, 32)]),                              // OpenRouter
    ("hf_", &[n(Alnum, 34)]), ("api_org_", &[n(Alnum, 34)]),          // Hugging Face
    ("gsk_", &[at_least(Alnum, 40)]),                                 // Groq
    ("xai-", &[at_least(Name, 60)]),                                  // xAI
    ("pplx-", &[at_least(Alnum, 40)]),                                // Perplexity
    ("r8_", &[n(Token, 37)]),                                         // Replicate
    ("nvapi-", &[at_least(Token, 60)]),                               // NVIDIA
    ("sk-lf-", UUID),                                                 // Langfuse
    ("lsv2_pt_", &[n(Hex, 32).then("_"), n(Hex, 10)]),                // LangSmith
    ("lsv2_sk_", &[n(Hex, 32).then("_"), n(Hex, 10)]),
    ("ls__", &[n(Hex, 32)]),
    ("pcsk_", &[between(Alnum, 5, 6).then("_"), n(Alnum, 63)]),       // Pinecone
    ("tgp_v1_", &[n(Token, 43)]),                                     // Together
    ("csk-", &[n(Alnum, 48)]),                                        // Cerebras
    ("tvly-", &[at_least(Token, 32)]),                                // Tavily
    ("jina_", &[n(Hex, 32), n(Token, 28)]),                           // Jina
    ("esecret_", &[at_least(Alnum, 20)]),                             // Anyscale
    ("sk-helicone-", &[between(Alnum, 7, 8).then("-"), between(Alnum, 7, 8).then("-"),
        between(Alnum, 7, 8).then("-"), between(Alnum, 7, 8)]),       // Helicone
    ("llx-", &[at_least(Alnum, 40)]),                                 // LlamaCloud
    ("rpa_", &[at_least(Alnum, 40)]),                                 // RunPod
    ("e2b_", &[n(Hex, 40)]),                                          // E2B
    ("bb_live_", &[at_least(Token, 27)]),                             // Browserbase
    ("dapi", &[n(Hex, 32)]), ("dapi", &[n(Hex, 32).then("-"), n(Digits, 1)]), // Databricks
    ("dose", &[n(Hex, 32)]), ("dkea", &[n(Hex, 32)]),
    ("zwt_", &[n(Token, 42)]), ("zqt_", &[n(Token, 38)]), ("zut_", &[n(Token, 38)]), // Vectara
    ("VF.DM.", &[n(Hex, 24).then("."), n(Alnum, 16)]),                // Voiceflow
    ("VF.WS.", &[n(Hex, 24).then("."), n(Alnum, 16)]),
    ("apify_api_", &[between(Alnum, 34, 38)]),                        // Apify
    ("salad_cloud_", &[between(Alnum, 1, 7).then("_"), between(Alnum, 7, 235)]), // SaladCloud

    // Clouds and databases.
    ("dop_v1_", &[n(Hex, 64)]), ("doo_v1_", &[n(Hex, 64)]), ("dor_v1_", &[n(Hex, 64)]), // DigitalOcean
    ("LTAI", &[between(Alnum, 12, 24)]),                              // Alibaba Cloud
    ("AKID", &[between(Alnum, 13, 34)]),                              // Tencent Cloud
    ("AQVN", &[between(Token, 35, 38)]),                              // Yandex Cloud
    ("YCA", &[n(Token, 37)]), ("YCM", &[n(Token, 37)]), ("YCO", &[n(Token, 37)]), ("YCN", &[n(Token, 37)]),
    ("t1.", &[at_least(Sealed, 100)]), ("y0_", &[at_least(Token, 50)]),
    ("SCW", &[n(Capitals, 17)]),                                      // Scaleway
    ("HRKU-AA", &[n(Token, 58)]), ("HRKU-", UUID),                    // Heroku
    ("fo1_", &[n(Token, 43)]), ("fm1a_", &[at_least(Base64, 100)]),   // Fly.io
    ("fm1r_", &[at_least(Base64, 100)]), ("fm2_", &[at_least(Base64, 100)]),
    ("rnd_", &[n(Alnum, 32)]),                                        // Render
    ("vercel_blob_rw_", &[at_least(Name, 30)]),                       // Vercel
    ("vcp_", &[at_least(Alnum, 24)]), ("vca_", &[at_least(Alnum, 24)]), ("vck_", &[at_least(Alnum, 24)]),
    ("nfp_", &[n(Alnum, 36)]), ("nfo_", &[n(Alnum, 36)]), ("nfc_", &[n(Alnum, 36)]), // Netlify
    ("v1.0-", &[n(Hex, 24).then("-"), n(Hex, 146)]),                  // Cloudflare
    ("cfut_", &[n(Alnum, 48)]), ("cfat_", &[n(Alnum, 48)]), ("cfk_", &[n(Alnum, 48)]),
    ("sbp_", &[n(Hex, 40)]), ("sb_secret_", &[at_least(Token, 30)]),  // Supabase
    ("napi_", &[at_least(Alnum, 50)]),                                // Neon
    ("pscale_tkn_", &[at_least(Sealed, 32)]), ("pscale_pw_", &[at_least(Sealed, 32)]), // PlanetScale
    ("pscale_oauth_", &[at_least(Sealed, 32)]),
    ("mdb_sa_sk_", &[n(Token, 40)]),                                  // MongoDB Atlas
    ("cflt", &[n(Base64, 60)]),                                       // Confluent
    ("AVNS_", &[n(Token, 19)]),                                       // Aiven
    ("4b1d", &[n(Alnum, 38)]),                                        // ClickHouse Cloud
    ("xau_", &[between(Alnum, 40, 44)]),                              // Xata
    ("fnA", &[n(Token, 37)]), ("fnE", &[n(Token, 37)]),               // Fauna
    ("ddp_", &[n(Alnum, 36)]), ("ddw_", &[n(Alnum, 36)]),             // Deno Deploy
    ("dckr_pat_", &[n(Token, 27)]), ("dckr_oat_", &[n(Token, 32)]),   // Docker Hub
    ("sha256~", &[n(Token, 43)]),                                     // OpenShift
    ("rh-api-", UUID),                                                // Red Hat
    ("tskey-", &[between(Alnum, 3, 8).then("-"), between(Name, 8, 64).then("-"), at_least(Alnum, 12)]), // Tailscale
    ("API-", &[n(Capitals, 26)]), ("API-", &[n(Capitals, 25)]), ("API-", &[n(Capitals, 27)]), // Octopus Deploy

    // Vaults, builds and packages.
    ("hvs.", &[at_least(Token, 24)]), ("hvb.", &[at_least(Token, 100)]), ("hvr.", &[at_least(Token, 24)]), // Vault
    ("dp.pt.", &[between(Alnum, 40, 44)]), ("dp.ct.", &[between(Alnum, 40, 44)]), // Doppler
    ("dp.sa.", &[between(Alnum, 40, 44)]), ("dp.scim.", &[between(Alnum, 40, 44)]),
    ("dp.audit.", &[between(Alnum, 40, 44)]), ("dp.st.", &[between(Alnum, 40, 44)]),
    ("dp.st.", &[between(Token, 2, 35).then("."), between(Alnum, 40, 44)]),
    ("ops_eyJ", &[at_least(Base64, 100)]),                            // 1Password
    ("A3-", &[n(Capitals, 6).then("-"), n(Capitals, 11).then("-"), n(Capitals, 5).then("-"),
        n(Capitals, 5).then("-"), n(Capitals, 5)]),
    ("A3-", &[n(Capitals, 6).then("-"), n(Capitals, 6).then("-"), n(Capitals, 5).then("-"),
        n(Capitals, 5).then("-"), n(Capitals, 5).then("-"), n(Capitals, 5)]),
    ("AGE-SECRET-KEY-1", &[n(Capitals, 58)]),                         // age
    ("npm_", &[n(Alnum, 36)]),                                        // npm
    ("pypi-AgE", &[at_least(Token, 60)]),                             // PyPI
    ("rubygems_", &[n(Hex, 48)]),                                     // RubyGems
    ("oy2", &[n(Alnum, 43)]),                                         // NuGet
    ("cio", &[n(Alnum, 32)]),                                         // crates.io
    ("CLOJARS_", &[n(Alnum, 60)]),                                    // Clojars
    ("AKCp", &[n(Alnum, 69)]), ("cmVmd", &[n(Alnum, 59)]),            // JFrog Artifactory
    ("CCIPAT_", &[n(Alnum, 22).then("_"), n(Hex, 40)]),               // CircleCI
    ("CCIPRJ_", &[n(Alnum, 22).then("_"), n(Hex, 40)]),
    ("bkua_", &[n(Hex, 40)]), ("bkct_", &[at_least(Alnum, 40)]), ("bkaj_", &[at_least(Alnum, 40)]), // Buildkite
    ("squ_", &[n(Hex, 40)]), ("sqp_", &[n(Hex, 40)]), ("sqa_", &[n(Hex, 40)]), // Sonar
    ("sgp_", &[n(Hex, 40)]), ("sgp_", &[n(Alnum, 16).then("_"), n(Hex, 40)]), // Sourcegraph
    ("sgp_local_", &[n(Hex, 40)]), ("slk_", &[n(Hex, 64)]),
    ("pul-", &[n(Hex, 40)]),                                          // Pulumi
    ("pnu_", &[n(Alnum, 36)]), ("pnb_", &[n(Alnum, 36)]),             // Prefect
    ("ico-", &[n(Alnum, 32)]),                                        // Infracost
    ("tk-us-", &[n(Token, 48)]),                                      // Scalingo
    ("pat.", &[n(Token, 22).then("."), n(Alnum, 24).then("."), n(Alnum, 20)]), // Harness
    ("sat.", &[n(Token, 22).then("."), n(Alnum, 24).then("."), n(Alnum, 20)]),
    ("endr+", &[n(Token, 16)]),                                       // Endor Labs
    ("cal_live_", &[n(Hex, 32)]),                                     // Cal.com
    ("waka_", UUID), ("waka_tok_", &[at_least(Alnum, 40)]),           // WakaTime
    ("samsara_api_", &[n(Alnum, 30)]),                                // Samsara
    ("sm_aat_", &[n(Alnum, 16)]), ("sm_pat_", &[n(Alnum, 16)]), ("sm_sat_", &[n(Alnum, 16)]), // SettleMint
    ("NF-", &[n(Alnum, 32)]),                                         // Nightfall
    ("BBFF-", &[n(Alnum, 30)]),                                       // Ubidots

    // Watching.
    ("NRAK-", &[n(Alnum, 27)]), ("NRII-", &[n(Token, 32)]), ("NRIQ-", &[n(Token, 32)]), // New Relic
    ("NRII-", &[n(Token, 25)]), ("NRIQ-", &[n(Token, 25)]),
    ("NRJS-", &[n(Hex, 19)]), ("NRBR-", &[n(Hex, 19)]), ("NRRA-", &[n(Hex, 42)]),
    ("glc_", &[at_least(Base64, 32)]),                                // Grafana
    ("glsa_", &[n(Alnum, 32).then("_"), n(Hex, 8)]), ("eyJrIjoi", &[at_least(Base64, 60)]),
    ("hcaik_", &[n(Alnum, 58)]), ("hcxik_", &[n(Alnum, 58)]),         // Honeycomb
    ("sntrys_eyJ", &[at_least(Sealed, 80)]), ("sntryu_", &[n(Hex, 64)]), // Sentry
    ("dt0c01.", &[n(Alnum, 24).then("."), n(Alnum, 64)]),             // Dynatrace
    ("dt0s01.", &[n(Alnum, 8).then("."), n(Alnum, 64)]), ("dt0s16.", &[n(Alnum, 8).then("."), n(Alnum, 64)]),
    ("rootly_", &[n(Hex, 64)]),                                       // Rootly
    ("phx_", &[between(Name, 43, 48)]), ("phs_", &[between(Name, 43, 48)]), // PostHog
    ("sdk-", UUID), ("api-", UUID), ("mob-", UUID),                   // LaunchDarkly
    ("cu_", &[n(Hex, 32)]),                                           // Checkly

    // Payments and shipping.
    ("sq0atp-", &[between(Token, 22, 60)]), ("sq0csp-", &[between(Token, 40, 50)]), ("EAAA", &[between(Token, 56, 60)]), // Square
    ("sq0idp-", &[n(Token, 22)]),
    ("access_token$production$", &[n(Alnum, 16).then("$"), n(Hex, 32)]), // PayPal, Braintree
    ("access_token$sandbox$", &[n(Alnum, 16).then("$"), n(Hex, 32)]),
    ("rzp_live_", &[n(Alnum, 14)]), ("rzp_test_", &[n(Alnum, 14)]),   // Razorpay
    ("FLWSECK-", &[n(Alnum, 32).then("-X")]), ("FLWSECK_TEST-", &[n(Alnum, 32).then("-X")]), // Flutterwave
    ("FLWPUBK_TEST-", &[n(Alnum, 32).then("-X")]), ("FLWSECK_TEST-", &[n(Alnum, 12)]),
    ("access-sandbox-", UUID), ("access-production-", UUID), ("access-development-", UUID), // Plaid
    ("live_", &[between(Token, 30, 48)]), ("test_", &[n(Hex, 35)]), ("test_", &[n(Alnum, 30)]), // Mollie, Lob, GoCardless
    ("shippo_live_", &[n(Hex, 40)]), ("shippo_test_", &[n(Hex, 40)]), // Shippo
    ("EZAK", &[n(Alnum, 54)]), ("EZTK", &[n(Alnum, 54)]),             // EasyPost
    ("duffel_live_", &[n(Token, 43)]), ("duffel_test_", &[n(Token, 43)]), // Duffel
    ("pdl_live_apikey_", &[n(Alnum, 26).then("_"), n(Alnum, 22).then("_"), n(Alnum, 3)]), // Paddle
    ("pdl_sdbx_apikey_", &[n(Alnum, 26).then("_"), n(Alnum, 22).then("_"), n(Alnum, 3)]),
    ("APP_USR-", &[between(Digits, 10, 20).then("-"), n(Digits, 6).then("-"), n(Hex, 32).then("-"),
        between(Digits, 6, 12)]),                                     // Mercado Pago
    ("ramp_sec_", &[n(Alnum, 48)]), ("ramp_id_", &[n(Alnum, 40)]),    // Ramp
    ("xnd_production_", &[at_least(Alnum, 40)]), ("xnd_development_", &[at_least(Alnum, 40)]), // Xendit
    ("skey_test_", &[n(Alnum, 19)]), ("skey_live_", &[n(Alnum, 19)]), // Omise
    ("ak_live_", &[n(Alnum, 30)]), ("ak_test_", &[n(Alnum, 30)]),     // Pagar.me
    ("fio-u-", &[n(Token, 64)]),                                      // Frame.io

    // Mail, messages and customers.
    ("SG.", &[n(Token, 22).then("."), n(Token, 43)]), ("SG.", &[n(Dotted, 66)]),                // SendGrid
    ("key-", &[n(Hex, 32)]),                                          // Mailgun
    ("md-", &[n(Token, 22)]),                                         // Mandrill
    ("xkeysib-", &[n(Hex, 64).then("-"), n(Alnum, 16)]),              // Brevo
    ("xsmtpsib-", &[n(Hex, 64).then("-"), n(Alnum, 16)]),
    ("re_", &[n(Alnum, 8).then("_"), n(Alnum, 24)]),                  // Resend
    // Twilio. A literal has at least three bytes.
    ("SK0", &[n(Hex, 31)]), ("SK1", &[n(Hex, 31)]), ("SK2", &[n(Hex, 31)]), ("SK3", &[n(Hex, 31)]),
    ("SK4", &[n(Hex, 31)]), ("SK5", &[n(Hex, 31)]), ("SK6", &[n(Hex, 31)]), ("SK7", &[n(Hex, 31)]),
    ("SK8", &[n(Hex, 31)]), ("SK9", &[n(Hex, 31)]), ("SKa", &[n(Hex, 31)]), ("SKb", &[n(Hex, 31)]),
    ("SKc", &[n(Hex, 31)]), ("SKd", &[n(Hex, 31)]), ("SKe", &[n(Hex, 31)]), ("SKf", &[n(Hex, 31)]),
    ("pk_", &[n(Hex, 34)]), ("pk_", &[n(Alnum, 6).then("_"), n(Hex, 34)]), // Klaviyo
    ("pk_", &[between(Digits, 6, 9).then("_"), n(Capitals, 32)]),     // ClickUp
    ("sk_", &[n(Hex, 48)]),                                           // ElevenLabs
    ("KEY", &[n(Capitals, 32).then("_"), n(Alnum, 22)]),             // Telnyx
    ("dG9rO", &[at_least(Base64, 50)]),                               // Intercom
    ("pat-na1-", UUID), ("pat-eu1-", UUID), ("pat-na2-", UUID), ("pat-ap1-", UUID), // HubSpot
    ("3MVG9", &[at_least(Dotted, 60)]), ("5Aep861", &[at_least(Dotted, 60)]), // Salesforce
    ("shpat_", &[n(Hex, 32)]), ("shpca_", &[n(Hex, 32)]), ("shppa_", &[n(Hex, 32)]), // Shopify
    ("shpss_", &[n(Hex, 32)]), ("shptka_", &[n(Hex, 32)]),
    ("ck_", &[n(Hex, 40)]), ("cs_", &[n(Hex, 40)]),                   // WooCommerce
    ("amzn.mws.", UUID), ("amzn1.oa2-cs.v1.", &[n(Hex, 64)]),         // Amazon, for sellers
    ("EAAC", &[at_least(Alnum, 100)]), ("EAAM", &[at_least(Alnum, 100)]), // Facebook
    ("EAAB", &[at_least(Alnum, 100)]), ("EAAG", &[at_least(Alnum, 100)]), ("IGQ", &[at_least(Token, 100)]),
    ("discord.com/api/webhooks/", &[between(Digits, 17, 20).then("/"), at_least(Token, 60)]), // Discord
    ("discordapp.com/api/webhooks/", &[between(Digits, 17, 20).then("/"), at_least(Token, 60)]),
    ("webhook.office.com/webhookb2/", &[n(Token, 36).then("@"), n(Token, 36).then("/IncomingWebhook/"),
        n(Alnum, 32).then("/"), n(Token, 36)]),                       // Microsoft Teams
    ("hooks.zapier.com/hooks/catch/", &[between(Digits, 5, 10).then("/"), between(Alnum, 6, 12)]), // Zapier
    ("WPL_AP1.", &[n(Alnum, 16).then("."), at_least(Base64, 6)]),     // LinkedIn
    ("sl.u.", &[at_least(Token, 60)]), ("sl.B", &[at_least(Token, 100)]), ("sl.A", &[at_least(Token, 100)]), // Dropbox

    // Work and content.
    ("lin_api_", &[n(Alnum, 40)]), ("lin_oauth_", &[n(Hex, 64)]),     // Linear
    ("ntn_", &[at_least(Alnum, 40)]), ("secret_", &[n(Alnum, 43)]),   // Notion
    ("pat", &[n(Alnum, 14).then("."), n(Hex, 64)]),                   // Airtable
    ("ATATT3", &[at_least(Sealed, 60)]), ("ATCTT3", &[at_least(Sealed, 60)]), // Atlassian
    ("ATBB", &[between(Sealed, 24, 40)]), ("ATSTT3", &[at_least(Sealed, 60)]),
    ("ATTA", &[n(Hex, 72)]),                                          // Trello
    ("BBDC-", &[between(Base64, 40, 50)]),                            // Bitbucket Data Center
    ("figd_", &[at_least(Token, 40)]), ("figp_", &[at_least(Token, 40)]), // Figma
    ("tfp_", &[between(Name, 40, 59)]),                               // Typeform
    ("CFPAT-", &[n(Token, 43)]),                                      // Contentful
    ("sk.eyJ", &[at_least(Dotted, 60)]), ("tk.eyJ", &[at_least(Dotted, 60)]), // Mapbox
    ("PMAK-", &[n(Hex, 24).then("-"), n(Hex, 34)]), ("PMAK-", &[n(Token, 59)]), // Postman
    ("rdme_", &[n(Alnum, 70)]),                                       // ReadMe
    ("aio_", &[n(Alnum, 28)]),                                        // Adafruit
    ("p8e-", &[n(Alnum, 32)]),                                        // Adobe
    ("secret-live-", &[at_least(Sealed, 30)]), ("secret-test-", &[at_least(Sealed, 30)]), // Stytch
    ("sub-c-", UUID), ("sec-c-", &[n(Base64, 48)]),                   // PubNub
    ("s-s4t2ud-", &[n(Hex, 64)]), ("s-s4t2af-", &[n(Hex, 64)]),       // 42 Intra
    ("alcht_", &[n(Alnum, 30)]), ("api_", &[n(Alnum, 22).then("."), n(Alnum, 22)]), // Alchemy, Close
    ("thog-secret-", &[n(Hex, 32)]), ("thog-key-", &[n(Hex, 16)]),    // TruffleHog
    ("sk_pr_", &[between(Alnum, 3, 24).then("_"), n(Hex, 40)]), ("sk_pr_", &[n(Hex, 40)]), // Photoroom
    ("sc_", &[between(Alnum, 5, 30).then("."), between(Alnum, 4, 6).then(".acc"), between(Token, 11, 33).then("."),
        between(Sealed, 30, 120)]), // Authress
    ("authress_", &[between(Alnum, 5, 30).then("."), between(Alnum, 4, 6).then(".acc"), between(Token, 11, 33).then("."),
        between(Sealed, 30, 120)]),
    ("ext_", &[between(Alnum, 5, 30).then("."), between(Alnum, 4, 6).then(".acc"), between(Token, 11, 33).then("."),
        between(Sealed, 30, 120)]),
    ("scauth_", &[between(Alnum, 5, 30).then("."), between(Alnum, 4, 6).then(".acc"), between(Token, 11, 33).then("."),
        between(Sealed, 30, 120)]),
];

/// Literals within keys: the run before them is as long as it says.
#[rustfmt::skip]
pub(crate) const HEADED: &[Headed] = &[
    (Alnum, 14, ".atlasv1.", &[between(Token, 60, 70)]),              // Terraform Cloud
    (Hex, 32, "-us", &[between(Digits, 1, 2)]),                       // Mailchimp
    (Digits, 10, ":AA", &[n(Token, 33)]), (Digits, 9, ":AA", &[n(Token, 33)]), (Digits, 8, ":AA", &[n(Token, 33)]), // Telegram
    (Name, 36, "_mmk", &[]),                                         // MaxMind
    (Alnum, 36, "NRAL", &[]),                                           // New Relic licence
];
