"""What the faces that speak HTTP share: serving, the gate before an application, and errors as problem+json."""
