#include "sekishod/opened_device.h"

namespace sekisho::daemon {
namespace {

bool is_flowgen(const dpdk::EthDevicePlan& plan) {
    return plan.device.kind == config::DeviceKind::kFlowgen;
}

// Subscribers open their sessions in any case; who answers, answers for ever.
void begin(flowgen::FlowgenQueue& queue, const config::FlowgenProfile& profile) {
    using config::FlowgenDirection;
    const bool internet = profile.role == config::FlowgenRole::kInternet;
    const auto idle = internet ? FlowgenDirection::kOutbound : FlowgenDirection::kInbound;
    if (profile.direction != idle) {
        queue.send_endlessly();
    } else if (!internet) {
        queue.send_pass();
    }
}

}  // namespace

unsigned OpenedDevice::buffers_of(config::DeviceKind kind) {
    return kind == config::DeviceKind::kFlowgen ? flowgen::kBuffersPerLink + flowgen::kSlack : 0;
}

Result<OpenedDevice> OpenedDevice::probe(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal) {
    OpenedDevice device;
    if (!is_flowgen(plan)) {
        auto probed = dpdk::EthDevice::probe(plan, eal);
        if (!probed) {
            return tl::unexpected(probed.error());
        }
        device.ethernet_ = std::move(*probed);
    }
    return device;
}

Result<void> OpenedDevice::prepare(const dpdk::EthDevicePlan& plan) {
    if (ethernet_) {
        ethernet_->make_queues(plan);
        return {};
    }
    const auto profile = config::parse_flowgen_profile(plan.device.arguments);
    if (!profile) {  // checked with the configuration
        return failure(profile.error().found);
    }
    rotation_ = std::make_unique<flowgen::Rotation>(*plan.stores.front(), 1);
    flowgen::FlowgenPlan flowgen;
    flowgen.profile = *profile;
    flowgen.index = plan.index;
    flowgen.first_link = plan.first_link;
    flowgen.rotation = rotation_.get();
    auto made = flowgen::FlowgenDevice::create(flowgen);
    if (!made) {
        return tl::unexpected(made.error());
    }
    far_end_ = std::move(*made);
    profile_ = *profile;
    return {};
}

Result<void> OpenedDevice::start(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal) {
    if (ethernet_) {
        return ethernet_->start(plan, eal);
    }
    begin(far_end_->queue(0), profile_);
    return {};
}

std::string OpenedDevice::tend(const dpdk::EthDevicePlan& plan, dpdk::Eal& eal) {
    return ethernet_ ? ethernet_->tend(plan, eal) : "";
}

dataplane::Device* OpenedDevice::get() const {
    if (ethernet_) {
        return ethernet_.get();
    }
    return far_end_.get();
}

}  // namespace sekisho::daemon
