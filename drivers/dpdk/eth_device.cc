#include "dpdk/eth_device.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include <fmt/format.h>
#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "dpdk/memif_guard.h"
#include "dpdk/vhost_guard.h"

namespace sekisho::dpdk {

namespace {

using config::DeviceKind;
using dataplane::DeviceStats;

constexpr unsigned kPatience = 5;  // turns of tend() between two tries
constexpr unsigned kHandshakePatience =
    15;  // the same, of a client whose server has taken the connection

uint64_t rss_fields(config::Side side) {
    return side == config::Side::kInternal ? RTE_ETH_RSS_L3_SRC_ONLY : RTE_ETH_RSS_L3_DST_ONLY;
}

// Adds, counter by counter, what `choose` makes of the two.
template <class Choose>
DeviceStats combine(const DeviceStats& a, const DeviceStats& b, Choose choose) {
    return {
        choose(a.rx_packets, b.rx_packets),
        choose(a.rx_bytes, b.rx_bytes),
        choose(a.rx_missed, b.rx_missed),
        choose(a.rx_errors, b.rx_errors),
        choose(a.tx_packets, b.tx_packets),
        choose(a.tx_bytes, b.tx_bytes),
        choose(a.tx_errors, b.tx_errors),
        choose(a.no_buffer, b.no_buffer),
        0};
}

// Bytes of the largest packet that the driver lets itself be told of; some carry larger ones all the same.
uint32_t most_mtu(const rte_eth_dev_info& info) {
    const uint32_t by_frame = info.max_rx_pktlen <= RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN
                                  ? UINT16_MAX
                                  : info.max_rx_pktlen - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN;
    return std::min<uint32_t>(info.max_mtu == 0 ? UINT16_MAX : info.max_mtu, by_frame);
}

// A hypervisor's own NIC. Told that checksums are checked here, it hands on frames of its other guests without any.
bool is_paravirtual(const rte_eth_dev_info& info) {
    const std::string_view driver = info.driver_name == nullptr ? "" : info.driver_name;
    return driver == "net_virtio" || driver == "net_vmxnet3";
}

std::string how_queues_are_filled(DeviceKind kind, unsigned queues) {
    if (kind == DeviceKind::kNull) {
        return fmt::format("{} queue{}, which receive nothing", queues, queues == 1 ? "" : "s");
    }
    if (queues == 1) {
        return "one queue";
    }
    return fmt::format(
        "{} queues, spread as {} likes", queues, has_far_end(kind) ? "the far end" : "the device"
    );
}

std::string silence_of(const config::DeviceSettings& device) {
    return fmt::format(
        "the vhost on {} takes the connection and gives no answer within {} seconds; restart it, "
        "or "
        "give the link another socket",
        device.arguments[0],
        kVhostPatience
    );
}

}  // namespace

// Makes the device known to DPDK; a PCI device was claimed by EAL at its start.
Result<void> EthDevice::attach(const EthDevicePlan& plan, unsigned queues, Eal& eal) {
    const auto mac = mac_ == MacAddr{} ? std::nullopt : std::optional(mac_);
    arguments_ = device_arguments(plan.device, plan.index, queues, mac);
    if (auto free = clear_stale_socket(plan.device); !free) {
        return free;
    }
    if (kind_ == DeviceKind::kVirtioUser) {
        guard_vhost(plan.device.arguments[0]);
    }
    if (!arguments_.pci && rte_dev_probe(arguments_.probe.c_str()) < 0) {
        if (kind_ == DeviceKind::kVirtioUser && is_vhost_silent(plan.device.arguments[0])) {
            return failure(silence_of(plan.device));
        }
        const std::string reason = eal.logged();
        return failure(fmt::format(
            "device {} cannot be opened: {}",
            text_,
            reason.empty() ? "its driver gives no reason" : reason
        ));
    }
    if (rte_eth_dev_get_port_by_name(arguments_.name.c_str(), &port_) != 0) {
        const std::string reason = arguments_.pci ? eal.said_at_start() : eal.logged();
        return failure(fmt::format(
            "device {} was left out by DPDK: {}",
            text_,
            reason.empty() ? "none of its drivers here knows it" : reason
        ));
    }
    attached_ = true;
    return {};
}

MacAddr EthDevice::port_mac() const {
    rte_ether_addr address{};
    rte_eth_macaddr_get(port_, &address);
    MacAddr mac;
    std::memcpy(mac.bytes, address.addr_bytes, sizeof(mac.bytes));
    return mac;
}

// What of it does not change.
Result<void> EthDevice::learn(const EthDevicePlan& plan, Eal& eal) {
    rte_eth_dev_info info{};
    if (rte_eth_dev_info_get(port_, &info) != 0) {
        return failure(fmt::format("device {} does not say what it can do: {}", text_, eal.logged())
        );
    }
    driver_ = info.driver_name == nullptr ? "unknown" : info.driver_name;
    numa_node_ = std::max(0, rte_eth_dev_socket_id(port_));
    mac_ = port_mac();
    most_queues_ = std::max<unsigned>(1, std::min(info.max_rx_queues, info.max_tx_queues));
    if (const unsigned limit = queue_limit(plan.device.kind); limit != 0) {
        most_queues_ = std::min(most_queues_, limit);
    }
    return {};
}

Result<std::unique_ptr<EthDevice>> EthDevice::probe(const EthDevicePlan& plan, Eal& eal) {
    if (auto fits = check_device(plan.device, plan.mtu); !fits) {
        return tl::unexpected(fits.error());
    }
    std::unique_ptr<EthDevice> device(new EthDevice);
    device->text_ = plan.device.text;
    device->kind_ = plan.device.kind;
    eal.logged();
    auto attached = device->attach(plan, plan.queues, eal);
    if (!attached && plan.queues > 1 && !has_far_end(plan.device.kind)) {
        // Some drivers refuse more queues than the interface has; one queue always is an answer.
        if (device->attach(plan, 1, eal)) {
            attached = {};
        }
    }
    if (!attached) {
        return tl::unexpected(attached.error());
    }
    if (auto learnt = device->learn(plan, eal); !learnt) {
        return tl::unexpected(learnt.error());
    }
    device->kernel_interface_ = kernel_interface(plan.device);
    return device;
}

// Configures with the RSS fields that steering wants, or, where the driver honours less, without
// RSS.
Result<void> EthDevice::configure(const EthDevicePlan& plan, Eal& eal) {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    const auto queues = static_cast<uint16_t>(plan.queues);
    rte_eth_conf conf{};
    conf.rxmode.mtu = std::min<uint32_t>(plan.mtu, most_mtu(info));
    if (arguments_.pci && !is_paravirtual(info)) {
        conf.rxmode.offloads =
            info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
                                    RTE_ETH_RX_OFFLOAD_TCP_CKSUM);
    }
    steering_ = how_queues_are_filled(kind_, queues);
    std::array<uint8_t, 64> key{};
    if (queues > 1 && kind_ != DeviceKind::kNull &&
        (info.flow_type_rss_offloads & RTE_ETH_RSS_IPV4) != 0) {
        const auto& wanted = *plan.toeplitz_key;
        std::copy(wanted.begin(), wanted.end(), key.begin());
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        if (info.hash_key_size >= wanted.size() && info.hash_key_size <= key.size()) {
            conf.rx_adv_conf.rss_conf.rss_key = key.data();
            conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
        }
        conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4 | rss_fields(plan.side);
        if (rte_eth_dev_configure(port_, queues, queues, &conf) == 0) {
            steering_ = fmt::format(
                "{} queues, RSS on the {} address",
                queues,
                plan.side == config::Side::kInternal ? "source" : "destination"
            );
            return {};
        }
        conf.rx_adv_conf.rss_conf.rss_hf = RTE_ETH_RSS_IPV4;
        steering_ =
            fmt::format("{} queues, RSS on both addresses (the NIC has no finer choice)", queues);
        if (rte_eth_dev_configure(port_, queues, queues, &conf) == 0) {
            return {};
        }
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
        conf.rx_adv_conf = {};
        steering_ = fmt::format("{} queues, the NIC refuses RSS", queues);
    }
    eal.logged();
    if (const int status = rte_eth_dev_configure(port_, queues, queues, &conf); status != 0) {
        return failure(fmt::format(
            "device {} refuses {} queues: {} ({})",
            text_,
            queues,
            rte_strerror(-status),
            eal.logged()
        ));
    }
    return {};
}

// The redirection table that puts each hash on the queue of its shard's worker.
bool EthDevice::set_rss(const EthDevicePlan& plan) {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    if (plan.queues == 1 || info.reta_size == 0 || info.reta_size > RTE_ETH_RSS_RETA_SIZE_512) {
        return false;
    }
    std::array<rte_eth_rss_reta_entry64, RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE>
        reta{};
    for (unsigned i = 0; i < info.reta_size; ++i) {
        auto& group = reta[i / RTE_ETH_RETA_GROUP_SIZE];
        group.mask |= uint64_t{1} << (i % RTE_ETH_RETA_GROUP_SIZE);
        group.reta[i % RTE_ETH_RETA_GROUP_SIZE] = static_cast<uint16_t>(
            plan.queue_of_shard[plan.table->entries[i % ShardTable::kEntries].value]
        );
    }
    return rte_eth_dev_rss_reta_update(port_, reta.data(), info.reta_size) == 0;
}

Result<void> EthDevice::set_up_queues(const EthDevicePlan& plan, Eal& eal) {
    uint16_t rx = kRxDescriptors;
    uint16_t tx = kTxDescriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(port_, &rx, &tx);
    for (uint16_t q = 0; q < plan.queues; ++q) {
        const auto node = static_cast<unsigned>(numa_node());
        if (rte_eth_rx_queue_setup(port_, q, rx, node, nullptr, plan.stores[q]->pool()) != 0 ||
            rte_eth_tx_queue_setup(port_, q, tx, node, nullptr) != 0) {
            return failure(fmt::format("device {} refuses queue {}: {}", text_, q, eal.logged()));
        }
    }
    return {};
}

Result<void> EthDevice::bring_up(const EthDevicePlan& plan, Eal& eal) {
    if (auto done = configure(plan, eal); !done) {
        return done;
    }
    if (auto done = set_up_queues(plan, eal); !done) {
        return done;
    }
    eal.logged();
    const int status = rte_eth_dev_start(port_);
    const bool waits = kind_ == DeviceKind::kMemif && plan.device.arguments[1] == "client";
    if (status != 0 && !waits) {
        return failure(fmt::format(
            "device {} does not start: {} ({})", text_, rte_strerror(-status), eal.logged()
        ));
    }
    started_ = status == 0;
    if (plan.takes_groups && rte_eth_allmulticast_enable(port_) != 0) {
        eal.logged();  // a driver that cannot filter them takes them all
    }
    if (started_ && set_rss(plan)) {
        steering_ += ", table programmed";
    }
    return {};
}

void EthDevice::make_queues(const EthDevicePlan& plan) {
    for (uint16_t q = 0; q < plan.queues; ++q) {
        queues_.push_back(std::make_unique<EthQueue>(port_, q, plan.first_link));
    }
    close_doors();
}

Result<void> EthDevice::start(const EthDevicePlan& plan, Eal& eal) {
    if (kind_ == DeviceKind::kMemif) {
        guard_memif(plan.device.arguments[0], plan.queues);
    }
    if (auto done = bring_up(plan, eal); !done) {
        return done;
    }
    if (started_) {
        open_doors();
    }
    patience_ = started_ ? kHandshakePatience : kPatience;
    up_ = is_running();
    up_told_ = up_;
    return {};
}

// ---- what comes and goes

void EthDevice::close_doors() {
    for (const auto& queue : queues_) {
        queue->door().close();
    }
}

void EthDevice::open_doors() {
    for (const auto& queue : queues_) {
        queue->set_port(port_);
        queue->door().open();
    }
}

// Whether what the port stands on has gone for good, so that only a new port can follow it.
bool EthDevice::is_gone() const {
    if (kernel_interface_) {
        return !kernel_interface_->is_there();
    }
    return kind_ == DeviceKind::kVirtioUser && !is_running();
}

bool EthDevice::is_running() const {
    if (!attached_ || !started_) {
        return false;
    }
    if (kernel_interface_) {
        return kernel_interface_->is_running();
    }
    rte_eth_link link{};
    return rte_eth_link_get_nowait(port_, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

// Whoever looks counts: a far end may be gone for less than it takes tend() to come round.
bool EthDevice::observe() const {
    const bool running = is_running();
    downs_ += up_ && !running ? 1 : 0;
    up_ = running;
    return running;
}

std::string EthDevice::tend(const EthDevicePlan& plan, Eal& eal) {
    const std::lock_guard guard(lock_);
    observe();
    const bool changed = up_ != up_told_ || downs_ != downs_told_;
    up_told_ = up_;
    downs_told_ = downs_;
    if (changed) {
        patience_ = 0;
        const std::string times = fmt::format("{} time{} so far", downs_, downs_ == 1 ? "" : "s");
        if (!up_) {
            return fmt::format("is down ({})", times);
        }
        return downs_ == 0 ? "is up" : fmt::format("is up (was down {})", times);
    }
    if (std::string refused = tell_refusals(plan); !refused.empty()) {
        return refused;
    }
    if (up_) {
        return "";
    }
    if (patience_ > 0) {
        --patience_;
        return "";
    }
    patience_ = kPatience;
    const bool client = kind_ == DeviceKind::kMemif && plan.device.arguments[1] == "client";
    if (client) {
        patience_ = reconnect() ? kHandshakePatience : kPatience;
    } else if (!attached_ || is_gone()) {
        if (!make_anew(plan, eal) && attached_) {  // its absence is in the log already
            detach();
        }
    }
    eal.logged();
    return "";
}

// Once, and again each time their number has doubled: whoever talks nonsense must not fill the log.
std::string EthDevice::tell_refusals(const EthDevicePlan& plan) {
    if (kind_ != DeviceKind::kMemif) {
        return "";
    }
    const uint64_t refusals = memif_refusals(plan.device.arguments[0]);
    if (refusals < refusals_to_tell_) {
        return "";
    }
    refusals_to_tell_ = refusals * 2;
    return fmt::format(
        "has hung up on somebody who talked nonsense on its socket ({} time{} so far)",
        refusals,
        refusals == 1 ? "" : "s"
    );
}

// A memif client looks for its server only when the port is started.
bool EthDevice::reconnect() {
    close_doors();
    if (started_) {
        rte_eth_dev_stop(port_);
    }
    started_ = rte_eth_dev_start(port_) == 0;
    if (started_) {
        open_doors();
    }
    return started_;
}

// A driver may forget its counts while its far end is away, so the highest that was seen counts.
void EthDevice::look_at_counts() const {
    rte_eth_stats now{};
    if (!attached_ || rte_eth_stats_get(port_, &now) != 0) {
        return;
    }
    seen_ = combine(
        seen_,
        {now.ipackets,
         now.ibytes,
         now.imissed,
         now.ierrors,
         now.opackets,
         now.obytes,
         now.oerrors,
         now.rx_nombuf},
        [](uint64_t a, uint64_t b) { return std::max(a, b); }
    );
}

// Of a port that is given up.
void EthDevice::keep_counts() {
    look_at_counts();
    earlier_ = combine(earlier_, seen_, [](uint64_t a, uint64_t b) { return a + b; });
    seen_ = {};
}

void EthDevice::detach() {
    rte_eth_dev_info info{};
    rte_eth_dev_info_get(port_, &info);
    if (started_) {
        rte_eth_dev_stop(port_);
    }
    started_ = false;
    attached_ = false;
    if (info.device != nullptr) {
        rte_dev_remove(info.device);
    }
}

Result<void> EthDevice::make_anew(const EthDevicePlan& plan, Eal& eal) {
    if (attached_) {
        close_doors();
        keep_counts();
        detach();
    }
    if (auto fits = check_device(plan.device, plan.mtu); !fits) {
        return fits;
    }
    if (auto done = attach(plan, plan.queues, eal); !done) {
        return done;
    }
    kernel_interface_ = kernel_interface(plan.device);
    if (port_mac() != mac_) {  // neighbours know the device by the one that it had
        rte_ether_addr address{};
        std::memcpy(address.addr_bytes, mac_.bytes, sizeof(mac_.bytes));
        rte_eth_dev_default_mac_addr_set(port_, &address);
    }
    if (auto done = bring_up(plan, eal); !done) {
        return done;
    }
    open_doors();
    return {};
}

EthDevice::~EthDevice() {
    if (!attached_) {
        return;
    }
    close_doors();
    if (started_) {
        rte_eth_dev_stop(port_);
    }
    rte_eth_dev_close(port_);
}

// ---- what others ask

std::string EthDevice::steering() const {
    const std::lock_guard guard(lock_);
    return steering_;
}

bool EthDevice::is_up() const {
    const std::lock_guard guard(lock_);
    return observe();
}

DeviceStats EthDevice::stats() const {
    const std::lock_guard guard(lock_);
    look_at_counts();
    DeviceStats total = combine(earlier_, seen_, [](uint64_t a, uint64_t b) { return a + b; });
    total.downs = downs_;
    return total;
}

}  // namespace sekisho::dpdk
