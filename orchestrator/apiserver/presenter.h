// Objects on their way out: in the version and the form that was asked for.
//
// Pure, but for the registry that it looks kinds up in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "orchestrator/api/kind.h"
#include "orchestrator/apiserver/negotiation.h"
#include "orchestrator/apiserver/request_info.h"

namespace keel::orchestrator {

class Presenter {
 public:
  explicit Presenter(const KindRegistry& kinds) : kinds_(kinds) {}

  // How objects of `kind` go out: made once per request (or shared by watchers with an equal
  // id()).
  struct View {
    std::shared_ptr<const Kind> kind;    // asked for
    std::shared_ptr<const Kind> stored;  // as they lie in the cache
    OutputFormat format{};
    std::string include_object = "Metadata";  // of tables: None, Metadata, Object
    bool columns_told = false;  // of tables in a watch: all events but the first leave them out

    // The cache's bytes are what goes out.
    bool raw() const {
      return format.as == OutputAs::kObject && kind->version == stored->version &&
             kind->group == stored->group;
    }
    std::string id() const;
  };
  View ViewOf(std::shared_ptr<const Kind> kind, const OutputFormat& format,
              const QueryParams& query) const;

  // JSON of one object from the cache's bytes (a Table of one row where tables are asked for).
  absl::StatusOr<std::string> Object(const View& view, std::string_view bytes) const;
  // One item of a list: the object, or a row of the table.
  absl::StatusOr<std::string> Item(const View& view, std::string_view bytes) const;
  // What stands around the items: everything up to them, and after.
  std::string ListHead(const View& view, const json::object& list_metadata) const;
  std::string_view ListTail() const { return "]}"; }
  // The object of a bookmark.
  std::string Bookmark(const View& view, int64_t revision, bool initial_events_end) const;

  // `object` of the stored version, in that of `kind`.
  absl::Status ToVersion(const Kind& kind, json::object& object) const;
  absl::Status ToStored(const Kind& kind, json::object& object) const;

 private:
  absl::StatusOr<json::object> Converted(const View& view, std::string_view bytes) const;

  const KindRegistry& kinds_;
};

}  // namespace keel::orchestrator
