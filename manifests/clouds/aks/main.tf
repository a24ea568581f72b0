# AKS with two node pools, Blob Storage by workload identity, and PostgreSQL for MLflow. overlays/aks uses the outputs.
terraform {
  required_version = ">= 1.8"
  required_providers {
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.40" }
    random  = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

provider "azurerm" {
  features {}
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}

resource "azurerm_kubernetes_cluster" "this" {
  name                      = var.name
  location                  = azurerm_resource_group.this.location
  resource_group_name       = azurerm_resource_group.this.name
  dns_prefix                = var.name
  kubernetes_version        = var.kubernetes_version
  oidc_issuer_enabled       = true
  workload_identity_enabled = true
  default_node_pool {
    name                 = "serving"
    vm_size              = var.node_type
    auto_scaling_enabled = true
    min_count            = 2
    max_count            = 6
    zones                = ["1", "2", "3"]
  }
  network_profile {
    network_plugin      = "azure"
    network_plugin_mode = "overlay"
    network_policy      = "cilium"
    network_data_plane  = "cilium"
  }
  identity { type = "SystemAssigned" }
}

resource "azurerm_kubernetes_cluster_node_pool" "training" {
  name                  = "training"
  kubernetes_cluster_id = azurerm_kubernetes_cluster.this.id
  vm_size               = var.gpu_node_type
  auto_scaling_enabled  = true
  min_count             = 0
  max_count             = 2
  node_labels           = { "product-classifier/pool" = "training" }
  node_taints           = ["product-classifier/pool=training:NoSchedule"]
}

resource "azurerm_storage_account" "store" {
  name                            = var.storage_account
  resource_group_name             = azurerm_resource_group.this.name
  location                        = azurerm_resource_group.this.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
}

resource "azurerm_user_assigned_identity" "store" {
  name                = "${var.name}-store"
  resource_group_name = azurerm_resource_group.this.name
  location            = azurerm_resource_group.this.location
}

resource "azurerm_role_assignment" "store" {
  scope                = azurerm_storage_account.store.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.store.principal_id
}

resource "azurerm_federated_identity_credential" "store" {
  name                = "object-store"
  resource_group_name = azurerm_resource_group.this.name
  parent_id           = azurerm_user_assigned_identity.store.id
  issuer              = azurerm_kubernetes_cluster.this.oidc_issuer_url
  audience            = ["api://AzureADTokenExchange"]
  subject             = "system:serviceaccount:product-classifier:object-store"
}

resource "random_password" "mlflow" {
  length  = 32
  special = false
}

resource "azurerm_postgresql_flexible_server" "mlflow" {
  name                   = "${var.name}-mlflow"
  resource_group_name    = azurerm_resource_group.this.name
  location               = azurerm_resource_group.this.location
  version                = "17"
  sku_name               = "B_Standard_B1ms"
  storage_mb             = 32768
  administrator_login    = "mlflow"
  administrator_password = random_password.mlflow.result
  lifecycle { ignore_changes = [zone] }
}

resource "azurerm_postgresql_flexible_server_database" "mlflow" {
  name      = "mlflow"
  server_id = azurerm_postgresql_flexible_server.mlflow.id
}

resource "azurerm_postgresql_flexible_server_firewall_rule" "azure" {
  name             = "azure"
  server_id        = azurerm_postgresql_flexible_server.mlflow.id
  start_ip_address = "0.0.0.0"
  end_ip_address   = "0.0.0.0"
}
