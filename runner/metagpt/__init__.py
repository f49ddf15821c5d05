"""The adapter: everything that knows MetaGPT. It runs in the fork server and in the children, never in the server."""
