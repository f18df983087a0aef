"""The one commit routine, manifests, verification, locks, safe CSV and JSON."""
