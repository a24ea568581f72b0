output "endpoint" {
  description = "ConfigMap object-store, key endpoint."
  value       = "https://s3.${var.region}.amazonaws.com"
}

output "store" {
  description = "ConfigMap object-store, key store."
  value       = "s3://${aws_s3_bucket.store.bucket}"
}

output "role_arn" {
  description = "overlays/eks/role.yaml."
  value       = aws_iam_role.store.arn
}

output "mlflow_database_uri" {
  description = "Secret mlflow-database, key uri."
  value       = "postgresql+pg8000://mlflow:${random_password.mlflow.result}@${aws_db_instance.mlflow.endpoint}/mlflow"
  sensitive   = true
}
