"""The gateway's part of the audit log: recording of actions and logins, and `GET /audit`."""
