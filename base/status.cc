#include "base/status.h"

#include <cerrno>
#include <system_error>

#include "base/strings.h"

namespace keel::base {

absl::Status ErrnoStatus(int error, std::string_view what) {
  const std::string text = StrCat(what, ": ", std::generic_category().message(error));
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(text);
    case EEXIST:
      return absl::AlreadyExistsError(text);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(text);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(text);
    case EAGAIN:
    case EBUSY:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

}  // namespace keel::base
