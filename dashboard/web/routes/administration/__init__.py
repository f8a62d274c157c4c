"""What administrators manage: accounts and the audit trail; and the link that they hand out."""
