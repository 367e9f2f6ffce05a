"""The partner-pipelines command: parse, call, print. Exit status 0 done, 1 the work failed, 2 bad usage or settings."""

from partner_pipelines.cli.app import main

__all__ = ["main"]
