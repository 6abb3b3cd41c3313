"""Why a solve failed, and the error that says so."""
