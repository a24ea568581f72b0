variable "name" {
  description = "Name of the cluster, and prefix of the other resources."
  type        = string
  default     = "product-classifier"
}

variable "region" {
  description = "Region of all resources."
  type        = string
}

variable "bucket" {
  description = "Name of the bucket, unique in all of S3."
  type        = string
}

variable "kubernetes_version" {
  description = "1.32 or newer."
  type        = string
  default     = "1.34"
}

variable "node_type" {
  description = "Instances that serve: 2 processors and 8 GiB each are enough for three."
  type        = string
  default     = "m7i.large"
}

variable "gpu_node_type" {
  description = "Instances that train; the group starts with none of them."
  type        = string
  default     = "g6.xlarge"
}

variable "service_accounts" {
  description = "Service accounts that may use the bucket, namespace:name."
  type        = list(string)
  default = [
    "product-classifier:store-client",
    "product-classifier:model-reader",
    "product-classifier:pipeline-runner",
    "product-classifier:retrain-trigger",
    "kubeflow:pipeline-runner",
  ]
}
