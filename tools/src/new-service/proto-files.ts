import type { NewService } from "./names.ts";

/** The contracts of a new service: one method and its event. */
export function protoFiles(service: NewService): Readonly<Record<string, string>> {
  const folder = `proto/shop/${service.name}/v1`;
  return {
    [`${folder}/${service.one}_service.proto`]: serviceProto(service),
    [`${folder}/events.proto`]: eventsProto(service),
  };
}

const serviceProto = ({ name, one, One, Name }: NewService) => `syntax = "proto3";

package shop.${name}.v1;

import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/protobuf/timestamp.proto";
import "shop/common/v1/access.proto";
import "shop/common/v1/pattern_message.proto";
import "shop/common/v1/reasons.proto";
import "shop/common/v1/text.proto";

// ${Name} of signed-in users.
service ${One}Service {
  // Creates a ${one} of the signed-in user. With a request_id, or an Idempotency-Key header, it can be repeated safely: the
  // same request gives the same ${one} and the same answer, another request INVALID_ARGUMENT.
  rpc Create${One}(Create${One}Request) returns (Create${One}Response) {
    option (shop.common.v1.access) = ACCESS_AUTHENTICATED;
    option (shop.common.v1.reasons) = "REQUEST_IDS_DIFFER";
    option (shop.common.v1.reasons) = "REQUEST_ID_REUSED";
    option (shop.common.v1.reasons) = "REQUEST_UNSETTLED";
    option (google.api.http) = {
      post: "/${name}"
      body: "*"
      response_body: "${one}"
    };
  }
}

// A ${one} of a user.
message ${One} {
  // Its id.
  string ${one}_id = 1;
  // The id of its owner.
  string user_id = 2;
  // The name that its owner gave it.
  string name = 3;
  // When it was created.
  google.protobuf.Timestamp create_time = 4;
}

// The request of Create${One}.
message Create${One}Request {
  // Its name: 1 to 100 characters.
  string name = 1 [
    (buf.validate.field).string = {
      min_len: 1
      max_len: 100
    },
    (shop.common.v1.text) = TEXT_LINE
  ];
  // Identifies this request among the user's: a repetition returns the same ${one} (AIP-155). Up to 128 visible characters.
  string request_id = 2 [
    (buf.validate.field).string.pattern = "^[\\\\x21-\\\\x7e]{0,128}$",
    (shop.common.v1.pattern_message) = "must be at most 128 visible characters of ASCII, without blanks"
  ];
}

// The response of Create${One}.
message Create${One}Response {
  // The ${one} as it was stored.
  ${One} ${one} = 1;
}
`;

const eventsProto = ({ name, one, One }: NewService) => `syntax = "proto3";

package shop.${name}.v1;

import "google/protobuf/timestamp.proto";

// A ${one} was created.
message ${One}Created {
  // Its id.
  string ${one}_id = 1;
  // The id of its owner.
  string user_id = 2;
  // When it was created.
  google.protobuf.Timestamp time = 3;
}
`;
