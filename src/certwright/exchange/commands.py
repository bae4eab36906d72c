"""The cmdlets of Exchange that are used: an account has the rights it needs if Get-Command shows it these."""

READ = (
    "Get-AcceptedDomain",
    "Get-ActiveSyncVirtualDirectory",
    "Get-AuthConfig",
    "Get-ClientAccessServer",
    "Get-ClientAccessService",
    "Get-DatabaseAvailabilityGroup",
    "Get-EcpVirtualDirectory",
    "Get-EdgeSubscription",
    "Get-ExchangeCertificate",
    "Get-ExchangeServer",
    "Get-FederationTrust",
    "Get-HybridConfiguration",
    "Get-ImapSettings",
    "Get-MailboxServer",
    "Get-MapiVirtualDirectory",
    "Get-OabVirtualDirectory",
    "Get-OrganizationConfig",
    "Get-OutlookAnywhere",
    "Get-OwaVirtualDirectory",
    "Get-PopSettings",
    "Get-PowerShellVirtualDirectory",
    "Get-Queue",
    "Get-ReceiveConnector",
    "Get-SendConnector",
    "Get-ServerComponentState",
    "Get-TransportService",
    "Get-WebServicesVirtualDirectory",
)
CHANGE = (
    "Enable-ExchangeCertificate",
    "Import-ExchangeCertificate",
    "New-ExchangeCertificate",
    "Remove-ExchangeCertificate",
    "Set-HybridConfiguration",
    "Set-ImapSettings",
    "Set-PopSettings",
    "Set-ReceiveConnector",
    "Set-SendConnector",
)
LANGUAGE = ("Get-Command", "Select-Object")
"""What every session has beside Exchange's own."""
