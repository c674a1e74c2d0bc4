//! The tables of `billing`.

use std::path::Path;

use super::billing::{Billing, Customer, Invoice, Item, Payment, Subscription};
use super::calendar::DAY;
use super::company::Company;
use super::profile::Profile;
use super::table::TableWriter;
use super::{Census, SampleTable, schema};
use crate::error::Result;

/// Writes the tables of `billing`, one account after the other.
pub struct BillingWriter<'company> {
    company: &'company Company,
    customers: TableWriter,
    subscriptions: TableWriter,
    items: TableWriter,
    invoices: TableWriter,
    payments: TableWriter,
    refunds: TableWriter,
}

impl<'company> BillingWriter<'company> {
    /// Returns the writer of a company's tables below `out`.
    pub fn new(company: &'company Company, out: &Path, census: &Census) -> Self {
        Self {
            company,
            customers: TableWriter::new(out, &schema::CUSTOMERS, census.customers),
            subscriptions: TableWriter::new(out, &schema::SUBSCRIPTIONS, census.subscriptions),
            items: TableWriter::new(out, &schema::SUBSCRIPTION_ITEMS, census.items),
            invoices: TableWriter::new(out, &schema::INVOICES, census.invoices),
            payments: TableWriter::new(out, &schema::PAYMENTS, census.payments),
            refunds: TableWriter::new(out, &schema::REFUNDS, census.refunds),
        }
    }

    /// Writes the rows of an account.
    pub fn write(&mut self, profile: &Profile, billing: &Billing) -> Result<()> {
        for (n, customer) in (0..).zip(&billing.customers) {
            self.write_customer(profile, n, customer)?;
        }
        for (n, subscription) in (0..).zip(&billing.subscriptions) {
            self.write_subscription(profile, n, subscription)?;
        }
        for (n, item) in (0..).zip(&billing.items) {
            self.write_item(profile, n, item)?;
        }
        for (n, invoice) in (0..).zip(&billing.invoices) {
            self.write_invoice(profile, n, invoice)?;
        }
        for (n, payment) in (0..).zip(&billing.payments) {
            self.write_payment(profile, n, payment)?;
        }
        for (n, refund) in (0..).zip(&billing.refunds) {
            self.refunds
                .row()?
                .text(&*self.company.id_of("R", profile.index, n, 2))
                .text(&*self.company.id_of("P", profile.index, refund.payment, 3))
                .decimal(refund.amount)
                .text(profile.currency)
                .instant(refund.refunded_at);
        }
        Ok(())
    }

    /// Writes what is left and returns what was written.
    pub fn finish(self) -> Result<Vec<SampleTable>> {
        Ok(vec![
            self.customers.finish()?,
            self.subscriptions.finish()?,
            self.items.finish()?,
            self.invoices.finish()?,
            self.payments.finish()?,
            self.refunds.finish()?,
        ])
    }

    fn customer_id(&self, profile: &Profile, n: u32) -> String {
        self.company.id_of("CU", profile.index, n, 1)
    }

    fn write_customer(&mut self, profile: &Profile, n: u32, customer: &Customer) -> Result<()> {
        let id = self.customer_id(profile, n);
        let account = customer.has_account.then(|| self.company.id("A", profile.index));
        let merged_into = customer.merged_into.map(|other| self.customer_id(profile, other));
        self.customers
            .row()?
            .text(&*id)
            .text(account.as_deref())
            .text(customer.email.as_deref())
            .instant(customer.created_at)
            .text(merged_into.as_deref())
            .flag(customer.is_deleted);
        Ok(())
    }

    fn write_subscription(&mut self, profile: &Profile, n: u32, subscription: &Subscription) -> Result<()> {
        let customer = self.customer_id(profile, subscription.customer);
        self.subscriptions
            .row()?
            .text(&*self.company.id_of("S", profile.index, n, 1))
            .text(&*customer)
            .text(subscription.status)
            .instant(subscription.started_at)
            .instant(subscription.trial_ends_at)
            .instant(subscription.canceled_at)
            .instant(subscription.ended_at);
        Ok(())
    }

    fn write_item(&mut self, profile: &Profile, n: u32, item: &Item) -> Result<()> {
        let (interval, interval_count) = item.interval;
        self.items
            .row()?
            .text(&*self.company.id_of("I", profile.index, n, 3))
            .text(&*self.company.id_of("S", profile.index, item.subscription, 1))
            .text(item.span.product)
            .decimal(item.span.quantity * 10_000)
            .decimal(item.unit_amount())
            .text(profile.currency)
            .text(interval)
            .int(interval_count)
            .decimal(item.discount)
            .date(item.span.from)
            .date(item.span.to);
        Ok(())
    }

    fn write_invoice(&mut self, profile: &Profile, n: u32, invoice: &Invoice) -> Result<()> {
        let customer = self.customer_id(profile, invoice.customer);
        let subscription = invoice.subscription.map(|of| self.company.id_of("S", profile.index, of, 1));
        let due_at = Some(invoice.issued_at + 30 * DAY).filter(|_| invoice.status != "draft");
        self.invoices
            .row()?
            .text(&*self.company.id_of("INV", profile.index, n, 3))
            .text(&*customer)
            .text(subscription.as_deref())
            .text(invoice.status)
            .instant(invoice.issued_at)
            .instant(due_at)
            .instant(invoice.paid_at)
            .decimal(invoice.subtotal)
            .decimal(invoice.tax)
            .decimal(invoice.subtotal + invoice.tax)
            .text(profile.currency);
        Ok(())
    }

    fn write_payment(&mut self, profile: &Profile, n: u32, payment: &Payment) -> Result<()> {
        let customer = self.customer_id(profile, payment.customer);
        let invoice = payment.invoice.map(|of| self.company.id_of("INV", profile.index, of, 3));
        self.payments
            .row()?
            .text(&*self.company.id_of("P", profile.index, n, 3))
            .text(&*customer)
            .text(invoice.as_deref())
            .text(payment.status)
            .decimal(payment.amount)
            .text(profile.currency)
            .instant(payment.paid_at);
        Ok(())
    }
}
