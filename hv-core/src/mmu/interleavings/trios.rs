//! Three CPUs: an access of a page, one of its neighbour, and a mutation. At most one preemption. Where both wait long for the mutation (a guest that is emptied, tables
//! that are pruned) there are too many orders even so; `storm` goes through some of them.

use super::log::{HARVEST, HARVEST_OF_A_DIRTY_PAGE, START, STOP};
use super::pages::{PAGE_OUT, PROMOTE, PROMOTE_BY_COPY, SPLIT, UNMAP, UNMAP_BESIDE};
use super::pair::trio;
use super::scene::{Racer, Scene};
use super::slots::{READ_ONLY, REMOVE};

macro_rules! trios {
    ($($name:ident: $bound:literal, $scene:ident, $racer:ident, $beside:ident, $mutation:ident;)*) => {
        $(#[test] fn $name() {
            trio($bound, Scene::$scene, Racer::$racer, Racer::$beside, $mutation);
        })*
    };
}

trios! {
    unmap_under_a_store_and_a_load: 1, Huge, Store, Load, UNMAP;
    unmap_beside_under_two_stores: 1, Huge, Store, Store, UNMAP_BESIDE;
    page_out_under_a_page_in_and_a_write: 1, Stored, Load, Write, PAGE_OUT;
    split_under_a_store_and_a_fetch: 1, Huge, Store, Fetch, SPLIT;
    promote_under_a_store_and_a_write: 1, Split, Store, Write, PROMOTE;
    promote_by_copy_under_two_stores: 1, Small, Store, Store, PROMOTE_BY_COPY;
    start_of_a_log_under_two_stores: 1, Huge, Store, Store, START;
    harvest_under_two_stores_that_split: 1, Huge, Store, Store, HARVEST;
    harvest_under_a_store_and_a_write: 1, Small, Store, Write, HARVEST;
    harvest_of_a_dirty_page_under_two_stores: 1, Small, Store, Store, HARVEST_OF_A_DIRTY_PAGE;
    stop_of_a_log_under_two_stores: 1, Huge, Store, Store, STOP;
    read_only_under_a_store_and_a_write: 1, Small, Store, Write, READ_ONLY;
    read_only_under_two_stores_to_shared_pages: 1, Shared, Store, Store, READ_ONLY;
    remove_under_two_stores: 1, Small, Store, Store, REMOVE;
}
