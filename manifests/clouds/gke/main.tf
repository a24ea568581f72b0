# GKE with two node pools, a bucket with an HMAC key, and Cloud SQL for MLflow. overlays/gke uses the outputs.
terraform {
  required_version = ">= 1.8"
  required_providers {
    google = { source = "hashicorp/google", version = "~> 7.0" }
    random = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

resource "google_compute_network" "this" {
  name                    = var.name
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  name          = var.name
  network       = google_compute_network.this.id
  ip_cidr_range = "10.0.0.0/20"
}

# Where the Gateway controller puts its proxies.
resource "google_compute_subnetwork" "proxies" {
  name          = "${var.name}-proxies"
  network       = google_compute_network.this.id
  ip_cidr_range = "10.1.0.0/23"
  purpose       = "REGIONAL_MANAGED_PROXY"
  role          = "ACTIVE"
}

resource "google_container_cluster" "this" {
  name                     = var.name
  location                 = var.region
  network                  = google_compute_network.this.id
  subnetwork               = google_compute_subnetwork.this.id
  remove_default_node_pool = true
  initial_node_count       = 1
  datapath_provider        = "ADVANCED_DATAPATH"
  deletion_protection      = false
  gateway_api_config { channel = "CHANNEL_STANDARD" }
  release_channel { channel = "REGULAR" }
}

resource "google_container_node_pool" "serving" {
  name     = "serving"
  cluster  = google_container_cluster.this.id
  location = var.region
  autoscaling {
    total_min_node_count = 2
    total_max_node_count = 6
  }
  node_config { machine_type = var.node_type }
}

resource "google_container_node_pool" "training" {
  name     = "training"
  cluster  = google_container_cluster.this.id
  location = var.region
  autoscaling {
    total_min_node_count = 0
    total_max_node_count = 2
  }
  node_config {
    machine_type = var.gpu_node_type
    labels       = { "product-classifier/pool" = "training" }
    taint {
      key    = "product-classifier/pool"
      value  = "training"
      effect = "NO_SCHEDULE"
    }
    guest_accelerator {
      type  = "nvidia-l4"
      count = 1
      gpu_driver_installation_config { gpu_driver_version = "DEFAULT" }
    }
  }
}

resource "google_storage_bucket" "store" {
  name                        = var.bucket
  location                    = var.region
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  versioning { enabled = true }
}

resource "google_service_account" "store" { account_id = var.name }

resource "google_storage_bucket_iam_member" "store" {
  bucket = google_storage_bucket.store.name
  role   = "roles/storage.objectAdmin"
  member = google_service_account.store.member
}

resource "google_storage_bucket_iam_member" "bucket" {
  bucket = google_storage_bucket.store.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.store.member
}

resource "google_storage_hmac_key" "store" { service_account_email = google_service_account.store.email }

resource "google_compute_global_address" "services" {
  name          = "${var.name}-services"
  network       = google_compute_network.this.id
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
}

resource "google_service_networking_connection" "services" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
}

resource "google_sql_database_instance" "mlflow" {
  name                = "${var.name}-mlflow"
  database_version    = "POSTGRES_17"
  deletion_protection = false
  depends_on          = [google_service_networking_connection.services]
  settings {
    tier    = "db-f1-micro"
    edition = "ENTERPRISE"
    backup_configuration { enabled = true }
    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.this.id
    }
  }
}

resource "google_sql_database" "mlflow" {
  name     = "mlflow"
  instance = google_sql_database_instance.mlflow.name
}

resource "random_password" "mlflow" {
  length  = 32
  special = false
}

resource "google_sql_user" "mlflow" {
  name     = "mlflow"
  instance = google_sql_database_instance.mlflow.name
  password = random_password.mlflow.result
}
