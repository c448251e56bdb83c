#pragma once

#include <memory>

namespace trunkline::detail {

/// What passes piece by piece.
enum class transfer_sort : unsigned char { rows, copy_out, copy_in };

class running_transfer;
struct end_transfer {
    void operator()(running_transfer* what) const noexcept;
};
/// A stream or a COPY under way; gives it up when destroyed.
using transfer_handle = std::unique_ptr<running_transfer, end_transfer>;

}  // namespace trunkline::detail
