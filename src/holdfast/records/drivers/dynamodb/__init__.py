"""Records on DynamoDB."""

from holdfast.records.drivers.dynamodb.driver import DynamoDBDriver

__all__ = ["DynamoDBDriver"]
