"""Finds tokens of known providers: a regex for each kind of token, and the search for them.

Written from the providers' public documentation of their token formats. A pattern only matches between characters that
cannot continue a token. If it has a group, only that is masked, otherwise the whole match.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

import numpy as np

from codeindexd.analysis.secrets.assigned_values import is_placeholder, is_random, is_token

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

TOKENS: dict[str, str] = {
    # clouds
    "aws-access-key": r"(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}",
    "aws-bedrock": r"ABSK[A-Za-z0-9+/]{100,}={0,2}",
    "azure-common-key": r"[A-Za-z0-9]{40,60}JQQJ9[9D][A-Za-z0-9+/=-]{16,}",
    "azure-devops": r"[A-Za-z0-9]{76}AZDO[A-Za-z0-9]{4}",
    "cloudflare-origin": r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}",
    "cloudflare-token": r"cf(?:ut|at|k)_[A-Za-z0-9]{40,}",
    "digitalocean": r"do[opr]_v1_[0-9a-f]{64}",
    "fly": r"(?:fo1_[\w-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{80,}={0,3})",
    "google-api-key": r"AIza[\w-]{35}",
    "google-client-secret": r"GOCSPX-[\w-]{28}",
    "google-access-token": r"ya29\.[\w-]{30,}",
    "google-refresh-token": r"1//0[\w-]{40,}",
    "heroku": r"HRKU-(?:AA[\w-]{58}|" + _UUID + ")",
    "linode": r"lin_pat_[0-9a-f]{64}",
    "oracle-pat": r"ocid1\.credential\.[\w.-]{40,}",
    "ovh": r"EU\.[0-9a-f]{16}\.[0-9A-Za-z]{32}",
    "yandex": r"(?:AQVN[\w-]{35,38}|YC[\w-]{38}|"
    r"t1\.[A-Z0-9a-z_-]{20,}={0,2}\.[A-Z0-9a-z_-]{86}={0,2}|y[0-3]_[\w-]{55,})",
    # code hosting, packages, builds
    "bitbucket": r"(?:ATBB|ATCTT3)[\w=-]{24,}",
    "buildkite": r"bk(?:ua|aj|ct|pi|pt)_[0-9a-f]{40}",
    "circleci": r"CCI(?:PAT|PRJ)_[A-Za-z0-9]{22}_[0-9a-f]{40}",
    "clojars": r"CLOJARS_[0-9a-f]{60}",
    "docker": r"dckr_[po]at_[\w-]{27,}",
    "github": r"gh[pousr]_[A-Za-z0-9]{36,255}",
    "github-fine-grained": r"github_pat_[A-Za-z0-9_]{60,255}",
    "gitlab": r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|imt|agent|oas|ffct|wt)-[\w.-]{20,300}",
    "gitlab-runner": r"GR1348941[\w-]{20}",
    "harness": r"[ps]at\.[\w-]{22}\.[0-9a-f]{24}\.[A-Za-z0-9]{20}",
    "npm": r"npm_[A-Za-z0-9]{36}",
    "nuget": r"oy2[a-z0-9]{43}",
    "postman": r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",
    "prefect": r"pn[ub]_[A-Za-z0-9]{36}",
    "pypi": r"pypi-AgE[\w-]{40,}",
    "rubygems": r"rubygems_[0-9a-f]{48}",
    "snyk": r"snyk_[su]at\.[\w.-]{30,}",
    "sonar": r"sq[pua]_[0-9a-f]{40}",
    "sourcegraph": r"(?:sgp_(?:[0-9a-f]{16}_|local_)?[0-9a-f]{40}|sgd_[0-9a-f]{64})",
    # secrets management, infrastructure
    "age": r"AGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    "databricks": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "doppler": r"dp\.(?:pt|st|ct|sa|scim|audit)\.[\w.-]{40,}",
    "infisical": r"st\.[0-9a-f-]{24,36}\.[0-9a-f]{32}\.[0-9a-f]{32}",
    "neon": r"napi_[a-z0-9]{60,}",
    "onepassword": r"(?:ops_eyJ[\w-]{200,}={0,3}|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|"
    r"[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3})",
    "openshift": r"sha256~[\w-]{43}",
    "planetscale": r"pscale_(?:tkn|pw|oauth)_[\w.=-]{32,64}",
    "pulumi": r"pul-[0-9a-f]{40}",
    "supabase": r"(?:sbp_(?:v0_)?[0-9a-f]{40}|sb_secret_[\w-]{30,})",
    "tailscale": r"tskey-[a-z]+-[A-Za-z0-9]{8,}-[A-Za-z0-9]{16,}",
    "terraform": r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,}",
    "vault": r"hv[sbr]\.[\w-]{24,300}",
    # messaging and mail
    "discord-webhook": r"discord(?:app)?\.com/api/webhooks/(\d{15,20}/[\w-]{60,80})",
    "mailgun": r"(?:key-[0-9a-f]{32}|pubkey-[0-9a-f]{32}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8})",
    "mailersend": r"mlsn\.[0-9a-f]{64}",
    "sendgrid": r"SG\.[\w-]{16,32}\.[\w-]{32,64}",
    "sendinblue": r"x(?:keysib|smtpsib)-[0-9a-f]{64}-[A-Za-z0-9]{16}",
    "slack": r"xox[abeoprs](?:-[A-Za-z0-9]{4,}){2,}(?:-[A-Za-z0-9]+)*",
    "slack-app": r"(?:xapp-\d-[A-Z0-9]+-\d+-[0-9a-f]+|xoxe(?:\.xox[bp])?-\d-[A-Za-z0-9]{100,})",
    "slack-webhook": r"hooks\.slack\.com/(?:services|workflows|triggers)/([A-Za-z0-9+/]{30,})",
    "teams-webhook": r"webhook\.office\.com/webhookb2/([\w@-]{36,}/IncomingWebhook/[0-9a-f]{32}/[\w-]{36})",
    "telegram": r"\d{8,10}:AA[\w-]{32,34}",
    "twilio": r"(?:SK|AC)[0-9a-f]{32}",
    # payments and shops
    "duffel": r"duffel_(?:live|test)_[\w=-]{43}",
    "easypost": r"EZ[AT]K[A-Za-z0-9]{54}",
    "flutterwave": r"FLW(?:PUBK|SECK)(?:_TEST)?-[0-9a-zA-Z]{32}-X",
    "plaid": r"access-(?:sandbox|development|production)-" + _UUID,
    "paypal": r"access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}",
    "paystack": r"[ps]k_(?:live|test)_[0-9a-f]{40}",
    "razorpay": r"rzp_(?:live|test)_[A-Za-z0-9]{14,}",
    "shippo": r"shippo_(?:live|test)_[0-9a-f]{40}",
    "shopify": r"shp(?:at|ca|pa|ss|ua|tka)_[0-9a-fA-F]{32}",
    "square": r"(?:sq0(?:atp|csp|idp)-[\w-]{22,43}|EAAA[\w-]{60})",
    "stripe": r"(?:[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,250}|whsec_[A-Za-z0-9+/]{32,}={0,2})",
    # models
    "anthropic": r"sk-ant-[\w-]{60,}",
    "elevenlabs": r"sk_[0-9a-f]{48}",
    "groq": r"gsk_[A-Za-z0-9]{40,}",
    "huggingface": r"(?:hf|api_org)_[A-Za-z0-9]{34,}",
    "jina": r"jina_[0-9a-f]{32}[\w-]{20,}",
    "langchain": r"ls(?:v2_(?:pt|sk)|__)_?[0-9a-f]{32}(?:_[0-9a-f]{10})?",
    "langfuse": r"[sp]k-lf-" + _UUID,
    "nvidia": r"nvapi-[\w-]{60,}",
    "openai": r"sk-(?:(?:proj|svcacct|admin|None|or-v1)-[\w-]{20,}|"
    r"[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20})",
    "perplexity": r"pplx-[A-Za-z0-9]{40,}",
    "pinecone": r"pcsk_[A-Za-z0-9_]{50,}",
    "replicate": r"r8_[A-Za-z0-9]{37}",
    "tavily": r"tvly-(?:dev-)?[A-Za-z0-9-]{30,}",
    "weights-and-biases": r"wandb_v1_[\w-]{60,}",
    "xai": r"xai-[A-Za-z0-9]{70,}",
    # products
    "airtable": r"pat[A-Za-z0-9]{14}\.[0-9a-f]{64}",
    "atlassian": r"ATATT3[\w=-]{100,}",
    "asana": r"[0-2]/\d{15,17}(?:/\d{15,17})?:[0-9a-f]{32}",
    "contentful": r"CFPAT-[\w-]{43}",
    "dropbox": r"sl\.(?:u\.)?[\w-]{130,}",
    "dynatrace": r"dt0[a-z]\d{2}\.[A-Z0-9]{24}\.[A-Z0-9]{64}",
    "figma": r"fig[dopru]+_[\w-]{40,}",
    "frameio": r"fio-u-[\w=-]{64}",
    "grafana": r"(?:glc_[A-Za-z0-9+/]{32,}={0,3}|glsa_[A-Za-z0-9]{32}_[0-9a-f]{8}|eyJrIjoi[A-Za-z0-9]{50,}={0,3})",
    "honeycomb": r"hc[abx][lim]k_[a-z0-9]{58}",
    "hubspot": r"pat-(?:na|eu|ap)\d-" + _UUID,
    "instagram": r"IG(?:QV|AA)[\w-]{80,}",
    "launchdarkly": r"(?:sdk|mob|api)-" + _UUID,
    "linear": r"lin_(?:api|oauth)_[A-Za-z0-9]{40,}",
    "mapbox": r"[st]k\.eyJ[\w-]{40,}\.[\w-]{20,}",
    "maxmind": r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",
    "newrelic": r"NR(?:AK|JS|II|IQ|RA|SP)-[\w-]{19,40}",
    "notion": r"(?:ntn_[A-Za-z0-9]{40,}|secret_[A-Za-z0-9]{43})",
    "posthog": r"ph[xs]_[A-Za-z0-9]{40,}",
    "readme": r"rdme_[a-z0-9]{70}",
    "segment": r"sgp_[A-Za-z0-9]{64}",
    "sentry": r"(?:sntrys_eyJ[\w+/=-]{60,}|sntryu_[0-9a-f]{64})",
    "typeform": r"tfp_[\w.=-]{40,}",
    "wakatime": r"waka_" + _UUID,
    # bounded and possessive: otherwise every eyJ in a megabyte of them scans the rest of it
    "jwt": r"eyJ[\w-]{10,4000}+\.(?:eyJ[\w-]{10,}(?:\.[\w-]{10,})?|"
    r"(?<=[\w-]{19}\.)[\w-]{0,4000}+\.[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,})",
    "azure-sas": r"(?:AccountKey|SharedAccessKey|SharedSecret)=([A-Za-z0-9+/%]{40,}={0,2})",
    "azure-sas-signature": r"[?&]sig=([A-Za-z0-9%+/]{40,}={0,2})",
}

# Forms so plain that they occur in ordinary text: the token must also look generated.
LOOSE_TOKENS: dict[str, str] = {
    "openai-old": r"sk-[A-Za-z0-9]{32,64}",
    "alibaba": r"LTAI[A-Za-z0-9]{12,22}",
    "azure-client-secret": r"[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    "azure-key": r"[A-Za-z0-9+/]{33,76}(?:AzSe|AzCa|AzFu|AzEv|APIM|ACDb|AStT?|ABa[aT]|AIoT|"
    r"ASb[TE])[A-Za-z0-9+/]{5,}={0,2}",
    "ibm-cos": r"crn-[\w-]{60,}",
    "netlify": r"nf[pcoub]_[A-Za-z0-9]{36,}",
    "render": r"rnd_[A-Za-z0-9]{28,}",
    "scaleway": r"SCW[A-Z0-9]{17}",
    "tencent": r"AKID[A-Za-z0-9]{28,34}",
    "vercel": r"vc[aikpr]_[A-Za-z0-9]{24,}",
    "artifactory": r"(?:AKCp[A-Za-z0-9]{60,}|cmVmd(?:Gtu)?[A-Za-z0-9]{50,})",
    "crates": r"cio[A-Za-z0-9]{32}",
    "octopus": r"API-[A-Z0-9]{25,28}",
    "confluent": r"cflt[A-Za-z0-9+/]{56,}",
    "infracost": r"ico-[A-Za-z0-9]{32}",
    "ngrok": r"(?:ak|cr|ek|ts)_[A-Za-z0-9]{27}|[12][A-Za-z0-9]{26}_[A-Za-z0-9]{20,22}",
    "okta": r"00[A-Za-z][\w-]{39}",
    "upstash": r"A[A-Z][A-Za-z0-9]{4}ASQ[A-Za-z0-9]{60,}={0,2}",
    "discord-bot": r"[MNO][A-Za-z\d_-]{23,27}\.[\w-]{6}\.[\w-]{27,40}",
    "mailchimp": r"[0-9a-f]{32}-us[0-9]{1,2}",
    "resend": r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{24}",
    "adyen": r"AQ[EF][A-Za-z0-9+/]{50,300}+={0,2}-[A-Za-z0-9+/]{20,300}+={0,2}-[^\s\"']{8,}",
    "gocardless": r"(?:live|sandbox)_[\w-]{40}",
    "lob": r"(?:live|test)_(?:pub_)?[0-9a-f]{31,35}",
    "cohere-style": r"co_[A-Za-z0-9]{40}",
    "fireworks": r"fw_[A-Za-z0-9]{22,}",
    "voyage": r"pa-[\w-]{43}",
    "facebook": r"EAA[A-Za-z0-9]{40,}",
    "settlemint": r"sm_[aps]at_[A-Za-z0-9]{16}",
    "twitter-bearer": r"A{20,}[A-Za-z0-9%]{60,}",
    "firebase-messaging": r"AAAA[\w-]{7}:[\w-]{140}",
}
_MIN_TOKEN_BYTES = 20  # of the shortest provider token
_TOKEN_BYTES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-+/=.~:%$@?&"
_OUTSIDE = bytes(byte not in _TOKEN_BYTES for byte in range(256))  # translate to 0 and 1: faster than numpy's take
_MIXED = re.compile(rb"[0-9]|hf_")


def _any_of(patterns: Iterable[str]) -> re.Pattern[bytes]:
    """Return one regex for all ``patterns``, which matches only between characters that cannot continue a token."""
    return re.compile(f"(?<![A-Za-z0-9])(?:{'|'.join(patterns)})(?![A-Za-z0-9])".encode())


@functools.cache
def _tokens() -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    """Return the regexes of tokens, and of those that must look random; compiled once they are needed."""
    return _any_of(TOKENS.values()), _any_of(LOOSE_TOKENS.values())


def token_ranges(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the byte ranges ``[start, end)`` of tokens of known providers, in no particular order."""
    if len(text) < _MIN_TOKEN_BYTES:
        return
    outside = np.flatnonzero(np.frombuffer(text.translate(_OUTSIDE), np.bool_))
    bounds = np.concatenate(([-1], outside, [len(text)]))
    long = np.flatnonzero(np.diff(bounds) > _MIN_TOKEN_BYTES)
    for start, end in zip((bounds[long] + 1).tolist(), bounds[long + 1].tolist(), strict=True):
        if not _MIXED.search(text, start, end):
            continue
        tokens, loose_tokens = _tokens()
        for match in tokens.finditer(text, start, end):
            group = match.lastindex or 0
            if is_token(match[group]) or match[0].startswith(b"hf_"):
                yield match.span(group)
        for match in loose_tokens.finditer(text, start, end):
            if is_random(match[0]) and not is_placeholder(match[0]):
                yield match.span()
