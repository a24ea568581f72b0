output "store" {
  description = "ConfigMap object-store, key store."
  value       = "s3://${google_storage_bucket.store.name}"
}

output "access_key" {
  description = "Secret object-store, key access-key; Secret model-reader, key AWS_ACCESS_KEY_ID."
  value       = google_storage_hmac_key.store.access_id
}

output "secret_key" {
  description = "Secret object-store, key secret-key; Secret model-reader, key AWS_SECRET_ACCESS_KEY."
  value       = google_storage_hmac_key.store.secret
  sensitive   = true
}

output "mlflow_database_uri" {
  description = "Secret mlflow-database, key uri."
  value       = "postgresql+pg8000://mlflow:${random_password.mlflow.result}@${google_sql_database_instance.mlflow.private_ip_address}:5432/mlflow"
  sensitive   = true
}
