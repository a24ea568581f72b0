variable "name" {
  description = "Name of the resource group and the cluster, and prefix of the other resources."
  type        = string
  default     = "product-classifier"
}

variable "location" {
  description = "Region of all resources."
  type        = string
}

variable "storage_account" {
  description = "Name of the storage account, unique in all of Azure: 3 to 24 lower case letters and digits."
  type        = string
}

variable "kubernetes_version" {
  description = "1.32 or newer."
  type        = string
  default     = "1.34"
}

variable "node_type" {
  description = "Machines that serve: 2 processors and 8 GiB each are enough for three."
  type        = string
  default     = "Standard_D2s_v5"
}

variable "gpu_node_type" {
  description = "Machines that train; the pool starts with none of them."
  type        = string
  default     = "Standard_NC4as_T4_v3"
}
