// GET of one object, and lists: from the cache at any new enough revision, and pages that go on
// from the store at the revision of the first.
#include <algorithm>

#include "base/status.h"
#include "base/strings.h"
#include "orchestrator/apiserver/list_stream.h"
#include "orchestrator/apiserver/object_api.h"
#include "orchestrator/apiserver/object_codec.h"
#include "orchestrator/apiserver/object_selector.h"
#include "orchestrator/apiserver/read_options.h"

namespace keel::orchestrator {

// A list that is being read.
struct PageRead {
  RequestPtr request;
  KindPtr kind;
  ReadOptions options;
  ObjectSelector selector;
  std::string from;  // key in the store
  int64_t revision = 0;
  std::vector<CachedObjectPtr> objects;
};

namespace {

// The page that a selector leaves may need many of the store's.
constexpr int64_t kStorePage = 1000;

json::object ListMetadata(int64_t revision) {
  return {{"resourceVersion", std::to_string(revision)}};
}

void AddContinue(json::object& metadata, int64_t revision, const CachedObject& last,
                 std::optional<int64_t> remaining) {
  metadata["continue"] =
      ContinueToken{.revision = revision, .ns = last.ns, .name = last.name}.Encode();
  if (remaining.has_value()) metadata["remainingItemCount"] = *remaining;
}

}  // namespace

void ObjectApi::Get(RequestPtr request, KindPtr kind) {
  auto options = ReadOptions::Parse(request->info.query, false);
  if (!options.ok()) return request->Fail(options.status());
  auto answer = [this, request, kind](absl::Status status) {
    if (!status.ok()) return request->Fail(status);
    const CachedObjectPtr object =
        context_.cache.Resource(kind->stored_resource()).Find(request->info.ns, request->info.name);
    if (object == nullptr) {
      return request->Fail(NotFound(kind->resource(), request->info.name));
    }
    const auto view = presenter_.ViewOf(kind, request->format, request->info.query);
    auto bytes = presenter_.Object(view, object->bytes);
    if (!bytes.ok()) return request->Fail(bytes.status());
    request->SendJsonBytes(200, *std::move(bytes));
  };
  if (options->resource_version.empty()) return context_.cache.WhenCurrent(std::move(answer));
  context_.cache.WhenAt(options->revision, std::move(answer));
}

void ObjectApi::List(RequestPtr request, KindPtr kind) {
  auto options = ReadOptions::Parse(request->info.query, false);
  if (!options.ok()) return request->Fail(options.status());
  auto selector = ObjectSelector::Parse(
      *SelectableOf(context_.kinds, kind), request->info.ns, request->info.name,
      request->info.query.Get("labelSelector"), request->info.query.Get("fieldSelector"));
  if (!selector.ok()) return request->Fail(selector.status());
  auto read = std::make_shared<PageRead>();
  read->request = request;
  read->kind = kind;
  read->options = *std::move(options);
  read->selector = *std::move(selector);

  const ReadOptions& asked = read->options;
  if (asked.from.has_value()) {
    const ResourceCache& resource = context_.cache.Resource(kind->stored_resource());
    // Nothing of it has changed since: the cache is still what the first page was of.
    const bool unchanged =
        asked.from->revision < 0 || (resource.revision() <= asked.from->revision &&
                                     context_.cache.revision() >= asked.from->revision);
    if (unchanged) return ListFromCache(read);
    read->revision = asked.from->revision;
    read->from =
        MakeStoreKey(context_.prefix(), kind->stored_resource(), asked.from->ns, asked.from->name) +
        '\0';
    return ListFromStore(read);
  }
  auto ready = [this, read](absl::Status status) {
    if (!status.ok()) return read->request->Fail(status);
    const ResourceCache& resource = context_.cache.Resource(read->kind->stored_resource());
    if (read->options.match == ReadOptions::Match::kExact &&
        resource.revision() > read->options.revision) {
      read->revision = read->options.revision;
      read->from = base::StrCat(context_.prefix(), "/", read->kind->stored_resource(), "/",
                                read->request->info.ns, read->request->info.ns.empty() ? "" : "/");
      return ListFromStore(read);
    }
    ListFromCache(read);
  };
  if (asked.resource_version.empty()) return context_.cache.WhenCurrent(std::move(ready));
  context_.cache.WhenAt(asked.revision, std::move(ready));
}

void ObjectApi::ListFromCache(const std::shared_ptr<PageRead>& read) {
  ResourceCache& resource = context_.cache.Resource(read->kind->stored_resource());
  const ReadOptions& options = read->options;
  std::string from_ns, from_name;
  if (options.from.has_value()) {
    from_ns = options.from->ns;
    from_name = options.from->name + '\0';
  }
  const size_t limit = options.limit > 0 ? static_cast<size_t>(options.limit) : SIZE_MAX;
  size_t beyond = 0;
  const bool count_rest = read->selector.everything();
  resource.ForEach(read->selector.ns(), from_ns, from_name, [&](const CachedObjectPtr& object) {
    if (!read->selector.Matches(*object)) return true;
    if (read->objects.size() < limit) {
      read->objects.push_back(object);
      return true;
    }
    ++beyond;
    return count_rest;
  });
  int64_t revision = context_.cache.revision();
  if (options.match == ReadOptions::Match::kExact) revision = options.revision;
  if (options.from.has_value() && options.from->revision > 0) revision = options.from->revision;
  json::object metadata = ListMetadata(revision);
  if (beyond > 0) {
    AddContinue(metadata, revision, *read->objects.back(),
                count_rest ? std::optional<int64_t>(beyond) : std::nullopt);
  }
  Request& request = *read->request;
  SendList(request, presenter_, presenter_.ViewOf(read->kind, request.format, request.info.query),
           std::move(metadata), std::move(read->objects));
}

void ObjectApi::ListFromStore(const std::shared_ptr<PageRead>& read) {
  const std::string range =
      base::StrCat(context_.prefix(), "/", read->kind->stored_resource(), "/", read->selector.ns(),
                   read->selector.ns().empty() ? "" : "/");
  const int64_t limit = read->options.limit;
  context_.store.Range(
      read->from, PrefixEndOf(range), read->revision,
      limit > 0 ? std::min(limit, kStorePage) : kStorePage,
      [this, read](absl::StatusOr<StorePage> page) {
        if (!page.ok()) {
          if (page.status().code() != absl::StatusCode::kOutOfRange) {
            return read->request->Fail(StoreError(page.status()));
          }
          ApiError error = ApiErrorOf(Expired(
              read->options.from.has_value()
                  ? "The provided continue parameter is too old to display a consistent list "
                    "result. You can start a new list without the continue parameter, or use the "
                    "continue token in this response to retrieve the remainder of the results. "
                    "Continuing with the provided token results in an inconsistent list - objects "
                    "that were created, modified, or deleted between the time the first chunk was "
                    "returned and now may show up in the list."
                  : "The resourceVersion for the provided list is too old."));
          if (read->options.from.has_value()) {
            ContinueToken token = *read->options.from;
            token.revision = -1;
            return read->request->FailWithContinue(error, token.Encode());
          }
          return read->request->Fail(error.ToStatus());
        }
        const auto wanted =
            read->options.limit > 0 ? static_cast<size_t>(read->options.limit) : SIZE_MAX;
        int64_t taken = 0;
        for (const StoreRecord& record : page->records) {
          if (read->objects.size() == wanted) break;
          ++taken;
          auto object = context_.cache.Decode(record);
          if (object.ok() && read->selector.Matches(**object)) {
            read->objects.push_back(*std::move(object));
          }
        }
        const int64_t rest = page->count - taken;
        if (read->objects.size() < wanted && page->more && !page->records.empty()) {
          read->from = page->records.back().key + '\0';
          return ListFromStore(read);
        }
        json::object metadata = ListMetadata(read->revision);
        if (rest > 0 && !read->objects.empty()) {
          AddContinue(metadata, read->revision, *read->objects.back(),
                      read->selector.everything() ? std::optional<int64_t>(rest) : std::nullopt);
        }
        Request& request = *read->request;
        SendList(request, presenter_,
                 presenter_.ViewOf(read->kind, request.format, request.info.query),
                 std::move(metadata), std::move(read->objects));
      });
}

}  // namespace keel::orchestrator
