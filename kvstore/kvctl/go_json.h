// Protobuf messages as Go's encoding/json writes etcd's structs: fields by
// their names in the proto, in its order, without those that are zero; bytes in
// Base64, enums as numbers, a oneof as {"Name":{"FieldName":...}}.
#pragma once

#include <google/protobuf/message.h>

#include <string>

namespace keel::kvctl {

// On one line, without a line feed.
std::string GoJson(const google::protobuf::Message& message);

// The fields alone, without braces; "" when all are zero.
std::string GoJsonFields(const google::protobuf::Message& message);

}  // namespace keel::kvctl
