// Propagation of absl::Status.
//
//   KEEL_RETURN_IF_ERROR(file->Sync());
//   KEEL_ASSIGN_OR_RETURN(auto file, fs.OpenForWrite(path));
#pragma once

#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keel::base {

// An error from `errno`, with what was being done and to which path:
// "open /x/y: No such file or directory". ENOENT → NotFound, EEXIST →
// AlreadyExists, ENOSPC and EDQUOT → ResourceExhausted, EACCES and EPERM →
// PermissionDenied, EAGAIN and EBUSY → Unavailable, all else → Internal.
absl::Status ErrnoStatus(int error, std::string_view what);

}  // namespace keel::base

#define KEEL_RETURN_IF_ERROR(expr)                                               \
  do {                                                                           \
    if (::absl::Status keel_status_ = (expr); !keel_status_.ok()) [[unlikely]] { \
      return keel_status_;                                                       \
    }                                                                            \
  } while (false)

#define KEEL_STATUS_CONCAT_INNER_(a, b) a##b
#define KEEL_STATUS_CONCAT_(a, b) KEEL_STATUS_CONCAT_INNER_(a, b)
#define KEEL_ASSIGN_OR_RETURN(decl, expr) \
  KEEL_ASSIGN_OR_RETURN_IMPL_(KEEL_STATUS_CONCAT_(keel_statusor_, __LINE__), decl, expr)
#define KEEL_ASSIGN_OR_RETURN_IMPL_(tmp, decl, expr) \
  auto tmp = (expr);                                 \
  if (!tmp.ok()) [[unlikely]] {                      \
    return std::move(tmp).status();                  \
  }                                                  \
  decl = *std::move(tmp)
