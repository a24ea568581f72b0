# EKS with two node groups, an S3 bucket by IRSA, and PostgreSQL for MLflow. overlays/eks uses the outputs.
terraform {
  required_version = ">= 1.8"
  required_providers {
    aws    = { source = "hashicorp/aws", version = "~> 6.0" }
    random = { source = "hashicorp/random", version = "~> 3.7" }
  }
}

provider "aws" {
  region = var.region
  default_tags { tags = { project = var.name } }
}

data "aws_availability_zones" "available" { state = "available" }

module "vpc" {
  source             = "terraform-aws-modules/vpc/aws"
  version            = "~> 6.0"
  name               = var.name
  cidr               = "10.0.0.0/16"
  azs                = slice(data.aws_availability_zones.available.names, 0, 3)
  private_subnets    = ["10.0.0.0/19", "10.0.32.0/19", "10.0.64.0/19"]
  public_subnets     = ["10.0.96.0/24", "10.0.97.0/24", "10.0.98.0/24"]
  database_subnets   = ["10.0.99.0/24", "10.0.100.0/24", "10.0.101.0/24"]
  enable_nat_gateway = true
  single_nat_gateway = true
}

module "eks" {
  source                                   = "terraform-aws-modules/eks/aws"
  version                                  = "~> 21.0"
  name                                     = var.name
  kubernetes_version                       = var.kubernetes_version
  vpc_id                                   = module.vpc.vpc_id
  subnet_ids                               = module.vpc.private_subnets
  endpoint_public_access                   = true
  enable_irsa                              = true
  enable_cluster_creator_admin_permissions = true
  addons = {
    aws-ebs-csi-driver = {}
    coredns            = {}
    kube-proxy         = {}
    metrics-server     = {}
    vpc-cni            = { before_compute = true, configuration_values = jsonencode({ enableNetworkPolicy = "true" }) }
  }
  eks_managed_node_groups = {
    serving = { instance_types = [var.node_type], min_size = 2, max_size = 6, desired_size = 3 }
    training = {
      ami_type       = "AL2023_x86_64_NVIDIA"
      instance_types = [var.gpu_node_type]
      min_size       = 0
      max_size       = 2
      desired_size   = 0
      labels         = { "product-classifier/pool" = "training" }
      taints         = { training = { key = "product-classifier/pool", value = "training", effect = "NO_SCHEDULE" } }
    }
  }
}

resource "aws_s3_bucket" "store" { bucket = var.bucket }

resource "aws_s3_bucket_public_access_block" "store" {
  bucket                  = aws_s3_bucket.store.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "store" {
  bucket = aws_s3_bucket.store.id
  versioning_configuration { status = "Enabled" }
}

data "aws_iam_policy_document" "store" {
  statement {
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.store.arn]
  }
  statement {
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.store.arn}/*"]
  }
}

data "aws_iam_policy_document" "pods" {
  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]
    principals {
      type        = "Federated"
      identifiers = [module.eks.oidc_provider_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "${module.eks.oidc_provider}:sub"
      values   = [for account in var.service_accounts : "system:serviceaccount:${account}"]
    }
    condition {
      test     = "StringEquals"
      variable = "${module.eks.oidc_provider}:aud"
      values   = ["sts.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "store" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.pods.json
}

resource "aws_iam_role_policy" "store" {
  role   = aws_iam_role.store.id
  policy = data.aws_iam_policy_document.store.json
}

resource "random_password" "mlflow" {
  length  = 32
  special = false
}

resource "aws_security_group" "mlflow" {
  name   = "${var.name}-mlflow"
  vpc_id = module.vpc.vpc_id
  ingress {
    from_port       = 5432
    to_port         = 5432
    protocol        = "tcp"
    security_groups = [module.eks.node_security_group_id]
  }
}

resource "aws_db_instance" "mlflow" {
  identifier                = "${var.name}-mlflow"
  engine                    = "postgres"
  engine_version            = "17"
  instance_class            = "db.t4g.micro"
  allocated_storage         = 20
  storage_encrypted         = true
  db_name                   = "mlflow"
  username                  = "mlflow"
  password                  = random_password.mlflow.result
  db_subnet_group_name      = module.vpc.database_subnet_group_name
  vpc_security_group_ids    = [aws_security_group.mlflow.id]
  backup_retention_period   = 7
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-mlflow-last"
}
