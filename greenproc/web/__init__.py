"""What a runtime does with HTTP: which process a request is for, and what is refused."""

from greenproc.web.firewall import DisabledEndpointsFirewallRule, Firewall, FirewallRule
from greenproc.web.routes import Router

__all__ = ["DisabledEndpointsFirewallRule", "Firewall", "FirewallRule", "Router"]
