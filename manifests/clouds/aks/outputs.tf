output "client_id" {
  description = "overlays/aks/identity.yaml."
  value       = azurerm_user_assigned_identity.store.client_id
}

output "storage_account" {
  description = "AZ_ACCOUNT_NAME in overlays/aks/identity.yaml."
  value       = azurerm_storage_account.store.name
}

output "mlflow_database_uri" {
  description = "Secret mlflow-database, key uri."
  value       = "postgresql+pg8000://mlflow:${random_password.mlflow.result}@${azurerm_postgresql_flexible_server.mlflow.fqdn}:5432/mlflow"
  sensitive   = true
}
