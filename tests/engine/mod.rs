//! Which cases there are, and that each runs on both engines: `fake::...` and `docker::...`.

mod containers;
mod daemon;
mod delivery;
mod docker;
mod docker_holder;
mod environment;
mod fake;
mod fake_holder;
mod files;
mod images;
mod lab;
mod limits;
mod memory;
mod networks;
mod start;
mod tls;
mod volumes;
mod wire;

/// Makes a test per case and engine. The fake's time is paused: what waits there, waits for nothing.
macro_rules! contract {
    ($($room:ident: $($case:ident)*;)*) => {
        mod on_fake {
            $(mod $room { $(
                #[tokio::test(start_paused = true)]
                async fn $case() {
                    let lab = <crate::engine::fake::FakeLab as crate::engine::lab::Lab>::open().await;
                    crate::engine::$room::$case(&lab).await;
                }
            )* })*
        }
        mod on_docker {
            $(mod $room { $(
                #[tokio::test]
                async fn $case() {
                    let lab = <crate::engine::docker::DockerLab as crate::engine::lab::Lab>::open().await;
                    crate::engine::$room::$case(&lab).await;
                }
            )* })*
        }
    };
}

contract! {
    containers:
        a_name_belongs_to_one_container
        an_absent_image_is_not_found_and_not_pulled
        what_is_not_there_is_not_found_and_its_removal_a_success
        the_beginning_of_an_id_is_not_an_id
        a_container_of_none_of_our_labels_is_not_listed
        a_list_shows_that_a_container_has_run_again
        a_restarted_container_keeps_its_identity
        a_polite_program_ends_by_itself_when_stopped
        a_program_that_ignores_the_signal_is_killed_after_the_grace
        a_paused_container_is_thawed_by_unpause_and_by_stop
        a_running_container_is_removed_by_force_alone
        two_removals_at_once_both_succeed
        a_rename_keeps_the_id_and_refuses_a_taken_name
        a_log_has_both_streams_and_an_end
        a_container_killed_by_hand_has_ended;
    start:
        starting_what_runs_changes_nothing
        a_port_held_by_a_container_fails_the_start_and_not_the_next_one
        a_port_held_by_a_process_fails_the_start_and_not_the_next_one
        a_command_that_does_not_exist_is_named_as_such
        a_host_path_that_does_not_exist_is_refused_and_not_made
        a_start_without_its_network_is_not_found
        an_address_is_given_at_start_and_back_at_the_end;
    limits:
        limits_hold_from_the_start_with_swap_bounded
        an_update_sets_memory_swap_and_cpus_of_a_running_container
        an_update_without_a_limit_leaves_it_as_it_is
        an_update_takes_away_the_engines_own_restarts
        a_memory_limit_below_the_engines_least_is_invalid;
    environment:
        values_arrive_byte_for_byte
        a_value_that_no_environment_can_hold_is_refused_by_name
        no_refused_create_tells_the_value
        a_create_without_secrets_keeps_the_engines_words;
    networks:
        a_network_is_listed_with_its_subnet_and_labels
        a_name_is_one_networks
        an_overlapping_subnet_is_refused
        a_network_in_use_is_not_removed_until_it_is_not
        a_container_is_reached_by_its_aliases_and_no_other_names_are_shown
        connecting_twice_conflicts_and_disconnecting_twice_does_not
        a_network_that_is_gone_is_noticed_by_what_runs_and_by_the_next_start
        a_full_subnet_fails_the_start;
    images:
        an_absent_image_is_not_found
        a_private_image_is_pulled_with_the_right_login_alone
        an_absent_tag_and_a_bad_reference_are_told_apart
        a_registry_that_is_down_is_unavailable
        a_digest_that_is_there_is_pulled_with_any_login
        an_image_from_an_archive_is_listed_and_removed_unless_a_container_is_made_from_it;
    files:
        a_signal_reaches_the_program_and_needs_one_that_runs
        a_signal_thaws_a_paused_container
        a_file_of_the_image_is_read_from_a_container_that_never_ran
        a_link_is_told_by_its_end_and_followed_to_a_file;
    volumes:
        a_volume_is_made_once_and_listed_by_label
        a_volume_in_use_is_not_removed
        an_empty_volume_is_filled_from_the_first_image_also_read_only_and_never_as_files;
    delivery:
        a_volume_in_memory_is_its_users_and_keeps_its_first_options
        content_is_seen_by_all_who_mount_it_and_gone_with_the_last_of_them
        a_mount_that_the_kernel_refuses_fails_the_first_start_as_such
        a_volume_that_nobody_made_is_on_the_disk;
    daemon:
        the_engine_says_what_it_is
        events_arrive_in_order_with_labels_and_of_ours_alone
        a_network_event_names_its_container;
}
