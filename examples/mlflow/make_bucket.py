"""Make a bucket unless it is there: python make_bucket.py NAME."""

import os
import sys

import boto3
from botocore.exceptions import ClientError


def main(name: str) -> None:
    client = boto3.client("s3", endpoint_url=os.environ["MLFLOW_S3_ENDPOINT_URL"])
    try:
        client.head_bucket(Bucket=name)
    except ClientError:
        client.create_bucket(Bucket=name)
    print(f"bucket {name} is there")


if __name__ == "__main__":
    main(sys.argv[1])
