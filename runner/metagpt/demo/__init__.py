"""The demo model: what a team uses when no LLM is configured. It answers MetaGPT's prompts from templates and rules.

`answers.answer` is the model: a pure function from prompt to answer. `provider.DemoLLM` makes it a MetaGPT provider,
and is the only module that imports MetaGPT. The programs that it writes are in `programs/`, as real files.
"""
