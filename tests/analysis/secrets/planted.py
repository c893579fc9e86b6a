"""Fictitious credentials of every kind, generated so that no file of this repository contains one."""

from __future__ import annotations

import string
from random import Random

LOWER = string.ascii_lowercase
UPPER = string.ascii_uppercase
DIGITS = string.digits
ALNUM = LOWER + UPPER + DIGITS
HEX = DIGITS + "abcdef"
BASE64 = ALNUM + "+/"
URLSAFE = ALNUM + "-_"

_ALPHABETS = {"a": ALNUM, "h": HEX, "u": UPPER + DIGITS, "l": LOWER + DIGITS, "b": BASE64, "s": URLSAFE, "d": DIGITS}

TOKENS: dict[str, tuple[str | tuple[str, int], ...]] = {
    "aws-access-key": ("AK", "IA", ("2", 16)),
    "aws-session-key": ("AS", "IA", ("2", 16)),
    "alibaba": ("LT", "AI", ("a", 20)),
    "azure-client-secret": (("a", 3), "8Q~", ("s", 34)),
    "cloudflare-origin": ("v1.0-", ("h", 24), "-", ("h", 146)),
    "digitalocean": ("do", "p_v1_", ("h", 64)),
    "digitalocean-oauth": ("do", "o_v1_", ("h", 64)),
    "fly": ("fo", "1_", ("s", 43)),
    "google-api-key": ("AI", "za", ("s", 35)),
    "google-client-secret": ("GOC", "SPX-", ("s", 28)),
    "google-access-token": ("ya", "29.", ("s", 120)),
    "google-refresh-token": ("1/", "/0", ("s", 60)),
    "heroku": ("HRKU", "-AA", ("s", 58)),
    "linode": ("lin", "_pat_", ("h", 64)),
    "netlify": ("nf", "p_", ("a", 36)),
    "scaleway": ("SC", "W", ("u", 17)),
    "tencent": ("AK", "ID", ("a", 32)),
    "yandex": ("AQ", "VN", ("s", 36)),
    "artifactory": ("AK", "Cp", ("a", 69)),
    "bitbucket": ("AT", "BB", ("a", 32)),
    "buildkite": ("bk", "ua_", ("h", 40)),
    "circleci": ("CCI", "PAT_", ("a", 22), "_", ("h", 40)),
    "clojars": ("CLO", "JARS_", ("h", 60)),
    "crates": ("ci", "o", ("a", 32)),
    "docker": ("dckr", "_pat_", ("s", 27)),
    "github": ("gh", "p_", ("a", 36)),
    "github-oauth": ("gh", "o_", ("a", 36)),
    "github-user": ("gh", "u_", ("a", 36)),
    "github-server": ("gh", "s_", ("a", 36)),
    "github-refresh": ("gh", "r_", ("a", 76)),
    "github-fine-grained": ("github", "_pat_", ("a", 22), "_", ("a", 59)),
    "gitlab": ("gl", "pat-", ("s", 20)),
    "gitlab-deploy": ("gl", "dt-", ("s", 20)),
    "gitlab-runner": ("gl", "rt-", ("s", 20)),
    "gitlab-runner-registration": ("GR13", "48941", ("s", 20)),
    "npm": ("np", "m_", ("a", 36)),
    "nuget": ("oy", "2", ("l", 43)),
    "octopus": ("AP", "I-", ("u", 26)),
    "postman": ("PM", "AK-", ("h", 24), "-", ("h", 34)),
    "prefect": ("pn", "u_", ("a", 36)),
    "pypi": ("pypi", "-AgE", "IcHlwaS5vcmc", ("s", 80)),
    "rubygems": ("ruby", "gems_", ("h", 48)),
    "sonar": ("sq", "p_", ("h", 40)),
    "sourcegraph": ("sg", "p_", ("h", 40)),
    "age": ("AGE-SECRET", "-KEY-1", ("9", 58)),
    "databricks": ("da", "pi", ("h", 32)),
    "doppler": ("dp", ".pt.", ("a", 43)),
    "infracost": ("ic", "o-", ("a", 32)),
    "openshift": ("sha", "256~", ("s", 43)),
    "planetscale": ("pscale", "_tkn_", ("s", 43)),
    "pulumi": ("pu", "l-", ("h", 40)),
    "supabase": ("sb", "p_", ("h", 40)),
    "tailscale": ("ts", "key-auth-", ("a", 12), "-", ("a", 32)),
    "terraform": (("a", 14), ".atl", "asv1.", ("s", 67)),
    "vault": ("hv", "s.", ("s", 90)),
    "discord-bot": ("M", ("a", 23), ".", ("s", 6), ".", ("s", 38)),
    "mailchimp": (("h", 32), "-us", ("d", 2)),
    "mailgun": ("ke", "y-", ("h", 32)),
    "mailgun-signing": (("h", 32), "-", ("h", 8), "-", ("h", 8)),
    "mailersend": ("ml", "sn.", ("h", 64)),
    "resend": ("re", "_", ("a", 8), "_", ("a", 24)),
    "sendgrid": ("S", "G.", ("s", 22), ".", ("s", 43)),
    "sendinblue": ("xkey", "sib-", ("h", 64), "-", ("a", 16)),
    "slack-bot": ("xo", "xb-", ("d", 12), "-", ("d", 12), "-", ("a", 24)),
    "slack-user": ("xo", "xp-", ("d", 12), "-", ("d", 12), "-", ("d", 12), "-", ("h", 32)),
    "slack-app": ("xa", "pp-1-A", ("u", 10), "-", ("d", 13), "-", ("h", 64)),
    "telegram": (("d", 10), ":A", "A", ("s", 33)),
    "twilio": ("S", "K", ("h", 32)),
    "duffel": ("duf", "fel_live_", ("s", 43)),
    "easypost": ("EZ", "AK", ("a", 54)),
    "flutterwave": ("FLW", "SECK-", ("h", 32), "-X"),
    "lob": ("li", "ve_", ("h", 35)),
    "paypal": ("access_token", "$production$", ("l", 16), "$", ("h", 32)),
    "razorpay": ("rz", "p_live_", ("a", 14)),
    "shippo": ("ship", "po_live_", ("h", 40)),
    "shopify": ("shp", "at_", ("h", 32)),
    "shopify-secret": ("shp", "ss_", ("h", 32)),
    "square": ("sq", "0atp-", ("s", 22)),
    "square-secret": ("sq", "0csp-", ("s", 43)),
    "stripe": ("sk", "_live_", ("a", 24)),
    "stripe-test": ("sk", "_test_", ("a", 99)),
    "stripe-restricted": ("rk", "_live_", ("a", 24)),
    "stripe-webhook": ("wh", "sec_", ("a", 32)),
    "anthropic": ("sk", "-ant-api03-", ("s", 93), "AA"),
    "fireworks": ("fw", "_", ("a", 24)),
    "groq": ("gs", "k_", ("a", 52)),
    "huggingface": ("h", "f_", ("a", 34)),
    "langchain": ("ls", "v2_pt_", ("h", 32), "_", ("h", 10)),
    "nvidia": ("nv", "api-", ("s", 64)),
    "openai": ("s", "k-", ("a", 20), "T3Blbk", "FJ", ("a", 20)),
    "openai-project": ("s", "k-proj-", ("s", 74), "T3Blbk", "FJ", ("s", 74)),
    "openrouter": ("s", "k-or-v1-", ("h", 64)),
    "perplexity": ("pp", "lx-", ("a", 48)),
    "replicate": ("r", "8_", ("a", 37)),
    "xai": ("xa", "i-", ("a", 80)),
    "airtable": ("pa", "t", ("a", 14), ".", ("h", 64)),
    "atlassian": ("ATA", "TT3xFfGF0", ("s", 180)),
    "asana": ("1/", ("d", 16), ":", ("h", 32)),
    "contentful": ("CF", "PAT-", ("s", 43)),
    "dropbox": ("s", "l.", ("s", 136)),
    "dynatrace": ("dt", "0c01.", ("u", 24), ".", ("u", 64)),
    "facebook": ("EA", "A", ("a", 120)),
    "figma": ("fi", "gd_", ("s", 40)),
    "grafana": ("gl", "sa_", ("a", 32), "_", ("h", 8)),
    "grafana-cloud": ("gl", "c_", ("a", 60)),
    "linear": ("lin", "_api_", ("a", 40)),
    "maxmind": (("a", 6), "_", ("a", 29), "_m", "mk"),
    "newrelic": ("NR", "AK-", ("u", 27)),
    "notion": ("nt", "n_", ("a", 46)),
    "posthog": ("ph", "x_", ("a", 43)),
    "readme": ("rd", "me_", ("l", 70)),
    "sentry": ("snt", "ryu_", ("h", 64)),
    "typeform": ("tf", "p_", ("s", 59)),
    "jwt": ("ey", "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.ey", "J", ("s", 60), ".", ("s", 43)),
}

_CONTEXTS: dict[str, tuple[str, str, int]] = {
    "python-password": ('password = "{}"', "a", 16),
    "python-api-key": ("API_KEY = '{}'", "a", 32),
    "python-dict": ('config = {{"secret_key": "{}"}}', "s", 40),
    "python-typed": ('client_secret: str = "{}"', "s", 32),
    "python-environ": ('os.environ["AUTH_TOKEN"] = "{}"', "a", 40),
    "python-call": ('connect(user="app", password="{}")', "a", 14),
    "django": ("SECRET_KEY = '{}'", "a", 50),
    "env-file": ("DB_PASSWORD={}", "a", 16),
    "env-quoted": ('export STRIPE_SECRET="{}"', "a", 32),
    "env-aws": ("AWS_SECRET_ACCESS_KEY={}", "b", 40),
    "ini": ("aws_secret_access_key = {}", "b", 40),
    "yaml": ("  password: {}", "a", 16),
    "yaml-quoted": ('    api-key: "{}"', "h", 32),
    "json": ('  "clientSecret": "{}",', "s", 32),
    "toml": ('access_token = "{}"', "a", 40),
    "properties": ("spring.datasource.password={}", "a", 16),
    "xml-tag": ("<password>{}</password>", "a", 16),
    "xml-attribute": ('<add key="ApiKey" value="{}"/>', "a", 32),
    "connection-string": ('"Server=db;User Id=app;Password={};"', "a", 16),
    "java": ('private static final String API_SECRET = "{}";', "a", 32),
    "go": ('authToken := "{}"', "a", 40),
    "javascript": ("const apiKey = '{}';", "a", 32),
    "ruby-hash": ("  :password => '{}',", "a", 16),
    "php-define": ("define('DB_PASSWORD', '{}');", "a", 16),
    "option": ("mysqldump --password={} shop", "a", 16),
    "option-blank": ("deploy --token {}", "a", 40),
    "curl-user": ("curl -u admin:{} https://example.org", "a", 16),
    "netrc": ("machine example.org login app password {}", "a", 16),
    "bearer": ('headers = {{"Authorization": "Bearer {}"}}', "s", 40),
    "bearer-curl": ('curl -H "Authorization: Bearer {}" https://example.org', "s", 40),
    "basic": ("Authorization: Basic {}==", "a", 30),
    "npmrc": ("//registry.example.org/:_authToken={}", "a", 36),
    "postgres": ("postgres://app:{}@db.example.org:5432/shop", "a", 16),
    "mongodb": ("mongodb+srv://app:{}@cluster0.example.net/", "a", 16),
    "redis": ("redis://:{}@cache:6379/0", "a", 24),
    "amqp": ("amqp://app:{}@queue:5672/", "a", 16),
    "https-basic": ("https://deploy:{}@example.org/app.git", "a", 20),
    "azure-storage": ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey={}==", "b", 86),
    "azure-bus": ("Endpoint=sb://a.example.net/;SharedAccessKeyName=k;SharedAccessKey={}=", "b", 43),
    "slack-webhook": ("https://hooks.slack.com/services/T{}", "u", 44),
    "discord-webhook": ("https://discord.com/api/webhooks/123456789012345678/{}", "s", 68),
}


def random_text(random: Random, alphabet: str, length: int) -> str:
    """Return random characters with at least two digits, as nearly all real tokens have; no punctuation at the ends."""
    letters = {"2": UPPER + "234567", "9": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"}.get(alphabet) or _ALPHABETS[alphabet]
    while True:
        text = "".join(random.choice(letters) for _ in range(length))
        clean = text[0].isalnum() and text[-1].isalnum()
        if clean and (length < 8 or sum(char.isdigit() for char in text) >= 2):
            return text


def token(random: Random, kind: str) -> str:
    """Return a token of a provider in :data:`TOKENS`."""
    parts = TOKENS[kind]
    return "".join(part if isinstance(part, str) else random_text(random, *part) for part in parts)


def private_key(random: Random, name: str = "RSA ", lines: int = 12) -> str:
    """Return a private key block with a random body."""
    body = "\n".join(random_text(random, "b", 64) for _ in range(lines))
    last = random_text(random, "a", 20)
    dashes, what = "-" * 5, f"{name}PRIVATE KEY"
    return f"{dashes}BEGIN {what}{dashes}\n{body}\n{last}==\n{dashes}END {what}{dashes}"


def all_kinds(random: Random) -> dict[str, tuple[str, str]]:
    """Return a line of code or configuration of every kind, and the secret in it."""
    out: dict[str, tuple[str, str]] = {}
    for kind in TOKENS:
        value = token(random, kind)
        out[kind] = (f'client = Client("{value}")', value)
    for kind, (line, alphabet, length) in _CONTEXTS.items():
        value = random_text(random, alphabet, length)
        out[f"context:{kind}"] = (line.format(value), value)
    return out
