"""The processes that come with every runtime."""
