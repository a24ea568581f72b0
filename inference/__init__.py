"""The services: three KServe model servers, the proxy in front of them and the keeper of corrections."""
