"""What the tests stand on: a scripted upstream, a raw-socket client, builders of wire data, and the proxy under test."""
