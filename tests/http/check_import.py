#!/usr/bin/env python3
"""LiteLLM configurations of the kinds that teams have: each becomes a configuration without a fault, and every
key of it is either carried or named with its place. Prints TAP."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

import tap  # noqa: E402
from yard import BIN  # noqa: E402

# What has a place here, or is a part of something that has.
CARRIED = set("""model_list litellm_settings router_settings general_settings credential_list model_name litellm_params
    model_info model api_base api_key api_version weight num_retries max_retries request_timeout timeout stream_timeout
    fallbacks context_window_fallbacks content_policy_fallbacks default_fallbacks drop_params routing_strategy
    model_group_alias master_key max_budget budget_duration retry_policy credential_name credential_values
    litellm_credential_name hidden input_cost_per_token output_cost_per_token order base_url""".split())
ENVIRONMENT = {name: "sk-" + name.lower() + "-0123456789" for name in (
    "OPENAI_API_KEY ANTHROPIC_API_KEY AZURE_API_KEY DEEPSEEK_API_KEY MISTRAL_API_KEY GROQ_API_KEY LITELLM_MASTER_KEY "
    "XAI_API_KEY").split()}
ENVIRONMENT["AZURE_API_BASE"] = "https://eu.openai.azure.com"

FILES = {
    "azure, openai and vllm behind one name": """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: azure/gpt-4o-eu
      api_base: os.environ/AZURE_API_BASE
      api_key: "os.environ/AZURE_API_KEY"
      api_version: "2025-01-01-preview"
      rpm: 6
    model_info:
      version: 2
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      rpm: 600
  - model_name: vllm-models
    litellm_params:
      model: openai/facebook/opt-125m
      api_base: http://0.0.0.0:4000/v1
      api_key: none
      rpm: 1440
    model_info: {version: 2}
  - model_name: "*"
    litellm_params:
      model: "*"
litellm_settings:
  drop_params: True
  success_callback: ["langfuse"]
  num_retries: 3
  request_timeout: 10
  fallbacks: [{"gpt-4o": ["vllm-models"]}]
  context_window_fallbacks: [{"gpt-4o": ["vllm-models"]}]
  allowed_fails: 3
  cooldown_time: 30
general_settings:
  master_key: sk-1234
  alerting: ["slack"]
  proxy_batch_write_at: 60
""",
    "wildcards, redis, a database, guardrails": """
model_list:
  - model_name: anthropic/*
    litellm_params: { model: anthropic/*, api_key: os.environ/ANTHROPIC_API_KEY }
  - model_name: "claude-*"
    litellm_params: { model: "anthropic/claude-*", api_key: os.environ/ANTHROPIC_API_KEY }
  - model_name: "openai/*"
    litellm_params: { model: "openai/*", api_key: os.environ/OPENAI_API_KEY }
  - model_name: bedrock-claude
    litellm_params: { model: bedrock/anthropic.claude-3-sonnet-20240229-v1:0, aws_region_name: us-east-1, aws_access_key_id: os.environ/AWS_ACCESS_KEY_ID }
  - model_name: gemini-pro
    litellm_params: { model: vertex_ai/gemini-1.5-pro, vertex_project: p, vertex_location: us-central1 }
router_settings:
  routing_strategy: latency-based-routing
  routing_strategy_args: {"ttl": 10}
  redis_host: os.environ/REDIS_HOST
  redis_password: os.environ/REDIS_PASSWORD
  redis_port: 1992
  enable_pre_call_checks: true
  model_group_alias: {"gpt-4": "gemini-pro", "sonnet": "claude-*"}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: "postgresql://u:p@h:5432/db"
  store_model_in_db: true
  custom_auth: custom_auth.user_api_key_auth
  pass_through_endpoints:
    - path: "/v1/rerank"
      target: "https://api.cohere.com/v1/rerank"
      headers: { Authorization: "bearer os.environ/COHERE_API_KEY" }
guardrails:
  - guardrail_name: "aporia"
    litellm_params: { guardrail: aporia, mode: during_call }
environment_variables:
  LANGFUSE_PUBLIC_KEY: pk
""",
    "every kind of endpoint, strategies, budgets": """
model_list:
- model_name: fake-openai-endpoint
  litellm_params:
    model: openai/fake
    api_key: fake-key
    api_base: https://exampleopenaiendpoint-production.up.railway.app/
    tags: ["free"]
- model_name: text-embedding-3-small
  litellm_params: {model: text-embedding-3-small}
  model_info: {mode: embedding, base_model: text-embedding-3-small}
- model_name: whisper
  litellm_params: {model: whisper-1, api_key: os.environ/OPENAI_API_KEY}
  model_info: {mode: audio_transcription}
- model_name: dall-e-3
  litellm_params: {model: openai/dall-e-3}
- model_name: deepseek-r1
  litellm_params: {model: deepseek/deepseek-reasoner, api_key: os.environ/DEEPSEEK_API_KEY, merge_reasoning_content_in_choices: true}
- model_name: ollama-llama
  litellm_params: {model: ollama_chat/llama3.1, api_base: "http://ollama:11434", keep_alive: "8m"}
- model_name: mistral-small-latest
  litellm_params: {model: mistral/mistral-small-latest, api_key: os.environ/MISTRAL_API_KEY, max_retries: 2, timeout: 300, stream_timeout: 60}
- model_name: groq-llama
  litellm_params: {model: groq/llama-3.3-70b-versatile, api_key: "os.environ/GROQ_API_KEY", max_budget: 0.1, budget_duration: 1d}
- model_name: hf
  litellm_params: {model: huggingface/HuggingFaceH4/zephyr-7b-beta, api_key: x}
- model_name: gpt-4o-mini
  litellm_params:
    model: gpt-4o-mini
    api_key: os.environ/OPENAI_API_KEY
    litellm_credential_name: default
credential_list:
  - credential_name: default
    credential_values: {api_key: os.environ/OPENAI_API_KEY}
router_settings:
  routing_strategy: simple-shuffle
  num_retries: 2
  timeout: 30
  retry_policy: {RateLimitErrorRetries: 3, ContentPolicyViolationErrorRetries: 0, TimeoutErrorRetries: 2}
  allowed_fails_policy: {RateLimitErrorAllowedFails: 100}
  enable_tag_filtering: True
  provider_budget_config: {openai: {budget_limit: 0.3, time_period: 1d}}
  fallbacks: [{"whisper": ["deepseek-r1"]}, {"*": ["gpt-4o-mini"]}]
  content_policy_fallbacks: [{"gpt-4o-mini": ["deepseek-r1"]}]
litellm_settings:
  default_fallbacks: ["gpt-4o-mini"]
  cache: True
  cache_params: {type: redis, host: localhost}
  callbacks: ["prometheus", custom_callbacks.proxy_handler_instance]
  max_internal_user_budget: 10
  default_team_settings: [{team_id: t, success_callback: [langfuse]}]
  max_budget: 100
  budget_duration: 30d
general_settings: {master_key: sk-1234567890abcdefghij, max_parallel_requests: 100, global_max_parallel_requests: 200, ui_access_mode: admin_only}
""",
    "prices, weights and order of its own": """
model_list:
  - {model_name: best, litellm_params: {model: xai/grok-4, api_key: os.environ/XAI_API_KEY, weight: 9, order: 1,
     input_cost_per_token: 0.000003, output_cost_per_token: 0.000015}}
  - {model_name: best, litellm_params: {model: gpt-4o, weight: 1, order: 2}}
  - {model_name: spoken, litellm_params: {model: tts-1}}
router_settings: {routing_strategy: simple-shuffle, model_group_alias: {smart: {model: best, hidden: true}}}
litellm_settings: {context_window_fallbacks: [{best: [spoken]}], telemetry: false}
""",
}


def imported(text):
    with tempfile.TemporaryDirectory(prefix="pm-litellm-") as folder:
        env = {"PATH": os.environ["PATH"], "HOME": folder, **ENVIRONMENT}
        there, ours = os.path.join(folder, "litellm.yaml"), os.path.join(folder, "ours.yaml")
        with open(there, "w", encoding="utf-8") as f:
            f.write(text)
        done = subprocess.run([BIN, "config", "import", "litellm", there], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        with open(ours, "w", encoding="utf-8") as f:
            f.write(done.stdout)
        os.chmod(ours, 0o600)
        checked = subprocess.run([BIN, "config", "check", ours], env=env, capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0, done.stdout + checked.stdout + checked.stderr
        return done.stdout, done.stderr


def keys_of(text):
    """Names of settings with their lines; texts and what stands below a name that is left out whole are not looked at."""
    for number, line in enumerate(text.split("\n"), 1):
        for name in re.findall(r"(?:^|[{,\s-])\s*([a-z_]+):(?=\s|$)", re.sub(r'"[^"]*"', '""', line)):
            yield number, name


def nothing_is_left_out_in_silence(text):
    ours, left = imported(text)
    named = {int(n): why for n, why in re.findall(r"^(\d+):\d+: (.*)$", left, re.M)}
    whole = [w.split(": ")[0].split(".")[-1] for w in re.findall(r"^\d+:\d+: (.*)$", left, re.M)]
    silent, below = [], None
    lines = text.split("\n")
    for number, why in list(named.items()):  # a deployment that is left out whole: to the next one
        while why.startswith("model_list.") and number < len(lines) and "model_name" not in lines[number]:
            number += 1
            named[number] = ""
    for number, name in keys_of(text):
        indent = len(lines[number - 1]) - len(lines[number - 1].lstrip(" -"))
        if below is not None and indent > below:
            continue
        below = None
        if name in whole:
            below = indent
        elif name not in CARRIED and number not in named:
            silent.append((number, name))
    assert not silent, (silent, left)
    assert "routes:" in ours and "providers:" in ours


def main():
    return tap.run([tap.test(nothing_is_left_out_in_silence, text, name=name) for name, text in FILES.items()])


if __name__ == "__main__":
    sys.exit(main())
