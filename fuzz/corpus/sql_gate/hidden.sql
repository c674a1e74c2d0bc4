select email from crm.contacts
