variable "project" {
  description = "Id of the project."
  type        = string
}

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
  description = "Name of the bucket, unique in all of Cloud Storage."
  type        = string
}

variable "node_type" {
  description = "Machines that serve: 2 processors and 8 GiB each are enough for three."
  type        = string
  default     = "e2-standard-2"
}

variable "gpu_node_type" {
  description = "Machines that train; the pool starts with none of them."
  type        = string
  default     = "g2-standard-4"
}
