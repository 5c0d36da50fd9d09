//! The files that the vendors would publish if the documentation's addresses were theirs.

/// A vendor's file.
#[derive(Debug, Clone, Copy)]
pub struct RangeFile {
    /// The vendor, as Cloudflare spells it.
    pub vendor: &'static str,
    /// The path at which the simulation serves the file.
    pub path: &'static str,
    /// Its content.
    pub json: &'static str,
}

/// The four vendors' files, in the vendors' own formats.
pub fn range_files() -> [RangeFile; 4] {
    [
        RangeFile {
            vendor: "aws",
            path: "/ranges/aws.json",
            json: AWS,
        },
        RangeFile {
            vendor: "gcp",
            path: "/ranges/gcp.json",
            json: GCP,
        },
        RangeFile {
            vendor: "azure",
            path: "/ranges/azure.json",
            json: AZURE,
        },
        RangeFile {
            vendor: "oci",
            path: "/ranges/oci.json",
            json: OCI,
        },
    ]
}

const AWS: &str = r#"{
  "syncToken": "1788220800",
  "createDate": "2026-09-01-00-00-00",
  "prefixes": [
    {"ip_prefix": "3.80.2.0/24", "region": "GLOBAL", "service": "AMAZON", "network_border_group": "GLOBAL"},
    {"ip_prefix": "3.80.2.0/25", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"},
    {"ip_prefix": "3.80.2.0/25", "region": "us-east-1", "service": "EC2", "network_border_group": "us-east-1"},
    {"ip_prefix": "3.80.2.128/26", "region": "eu-west-1", "service": "AMAZON", "network_border_group": "eu-west-1"}
  ],
  "ipv6_prefixes": [
    {"ipv6_prefix": "2600:1f18:a:1::/64", "region": "us-east-1", "service": "AMAZON", "network_border_group": "us-east-1"}
  ]
}
"#;

const GCP: &str = r#"{
  "syncToken": "1788220800000",
  "creationTime": "2026-09-01T00:00:00.000000",
  "prefixes": [
    {"ipv4Prefix": "34.68.100.0/25", "service": "Google Cloud", "scope": "us-central1"},
    {"ipv4Prefix": "34.68.100.128/26", "service": "Google Cloud", "scope": "europe-west1"},
    {"ipv4Prefix": "34.68.100.192/26", "service": "Google Cloud", "scope": "global"},
    {"ipv6Prefix": "2600:1f18:b:1::/64", "service": "Google Cloud", "scope": "us-central1"}
  ]
}
"#;

const AZURE: &str = r#"{
  "changeNumber": 400,
  "cloud": "Public",
  "values": [
    {
      "name": "AzureCloud.westeurope",
      "id": "AzureCloud.westeurope",
      "properties": {
        "changeNumber": 40, "region": "westeurope", "regionId": 18, "platform": "Azure",
        "systemService": "", "addressPrefixes": ["40.74.113.0/26"], "networkFeatures": []
      }
    },
    {
      "name": "AzureCloud.eastus",
      "id": "AzureCloud.eastus",
      "properties": {
        "changeNumber": 40, "region": "eastus", "regionId": 32, "platform": "Azure",
        "systemService": "", "addressPrefixes": ["40.74.113.64/26"], "networkFeatures": []
      }
    },
    {
      "name": "AzureCloud",
      "id": "AzureCloud",
      "properties": {
        "changeNumber": 40, "region": "", "regionId": 0, "platform": "Azure",
        "systemService": "", "addressPrefixes": ["40.74.113.0/25"], "networkFeatures": []
      }
    }
  ]
}
"#;

const OCI: &str = r#"{
  "last_updated_timestamp": "2026-09-01T00:00:00.000000",
  "regions": [
    {"region": "us-ashburn-1", "cidrs": [{"cidr": "40.74.113.128/26", "tags": ["OCI"]}]},
    {"region": "uk-london-1", "cidrs": [{"cidr": "40.74.113.192/26", "tags": ["OCI"]}]}
  ]
}
"#;
